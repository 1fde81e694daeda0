"""Text that came over the wire, made fit for a terminal and a log."""

__all__ = ["excerpt", "printable", "told"]

EXCERPT_BYTES = 120


def printable(text: str) -> str:
    r"""The text with everything that could steer a terminal written as an escape, e.g. ``\x1b``.

    That covers control characters, line ends, and the marks that turn reading direction.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def excerpt(raw: bytes, limit: int = EXCERPT_BYTES) -> str:
    """The first bytes of a payload for a log line, escaped, with the length when cut short."""
    shown = printable(raw[:limit].decode("utf-8", "backslashreplace"))
    return shown if len(raw) <= limit else f"{shown}... ({len(raw):,} bytes)"


def told(error: BaseException) -> str:
    """What an error says of itself, be it that it cannot."""
    try:
        return str(error)
    except Exception as other:  # noqa: BLE001 - a user's error may do anything when it is asked
        return f"(its text cannot be had: {type(other).__name__})"
