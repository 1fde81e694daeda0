"""Taking messages and handing them to handlers."""
