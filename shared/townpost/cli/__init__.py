"""The command `townpost`."""
