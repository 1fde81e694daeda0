"""`townpost publish`."""
