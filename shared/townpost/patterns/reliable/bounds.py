"""How much one script may move. As measured, 4 MiB take 15 to 25 ms of the server's time, 16 MiB up to 200."""

__all__ = ["SCRIPT_BYTES"]

SCRIPT_BYTES = 4 * 1024 * 1024
"""A script ends with the message that exceeds it."""
