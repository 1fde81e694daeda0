"""Keeps a reply that is too long out of memory: of a bulk string over a limit only the beginning is kept.

hiredis assembles a bulk string before it gives it away, whatever its length: 250 MiB took 560 MB. So once an unfinished
reply has grown past the limit, its frame is rebuilt with a bulk that ends there, and the rest is discarded as it comes.
"""

import re
from typing import NamedTuple

__all__ = ["Cut", "cut"]

_PUSHED = re.compile(rb"\*3\r\n\$7\r\nmessage\r\n|\*4\r\n\$8\r\npmessage\r\n")
_HEADER = re.compile(rb"([*$+:-])([^\r\n]*)\r\n")


class Cut(NamedTuple):
    """An unfinished frame with its overlong bulk cut short."""

    frame: bytes
    """What to give to the parser instead."""
    size: int
    """Bytes the bulk has on the wire."""
    missing: int
    """Bytes of it that have yet to come, with the end of the line."""


def cut(data: bytes, longest: int, *, pushed: bool) -> Cut | None:
    """The frame at the end of ``data``, cut short; None if it has no bulk of more than ``longest`` bytes.

    Args:
        data: what was received since the last reply, and some of what came before it if ``pushed``.
        longest: bytes that are kept, and one more, so that a reader sees that it is too long.
        pushed: frames of pub/sub, of which the first may have begun earlier; else ``data`` begins with a frame.
    """
    start: int | None = _next_pushed(data, 0) if pushed else 0
    while start is not None:
        end = _walk(data, start, longest)
        if isinstance(end, Cut):
            return end
        if end is None:
            return None
        start = _next_pushed(data, end) if pushed else end
    return None


def _next_pushed(data: bytes, after: int) -> int | None:
    found = _PUSHED.search(data, after)
    return found.start() if found is not None else None


def _walk(data: bytes, start: int, longest: int) -> Cut | int | None:
    """The frame from ``start``: cut short, or where it ends; None where it is not complete."""
    at, elements = start, 1
    while elements:
        header = _HEADER.match(data, at)
        if header is None:
            return None
        elements -= 1
        at = header.end()
        kind, number = header[1], header[2]
        if kind == b"*":
            elements += max(0, int(number))
        elif kind == b"$" and (size := int(number)) >= 0:
            end = at + size + 2
            if size > longest + 1 and end > len(data) >= at + longest + 1:
                kept = b"%b$%d\r\n%b\r\n" % (data[start : header.start()], longest + 1, data[at : at + longest + 1])
                return Cut(kept, size, end - len(data))
            at = end
            if at > len(data):
                return None
    return at
