"""Takes messages and calls handlers with them."""
