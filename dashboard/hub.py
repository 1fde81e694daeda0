"""Sends every open page the newest snapshot and the lines of the feed that came meanwhile.

A page that reads too slowly skips snapshots, and loses the oldest lines beyond a few hundred; other pages lose nothing.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

__all__ = ["Hub", "event"]

MOST_PAGES = 100
_LINES = 10
"""Batches of lines that wait for one page, each up to fifty."""


class _Page:
    def __init__(self) -> None:
        self.snapshot: bytes | None = None
        self.lines: deque[bytes] = deque(maxlen=_LINES)
        self.new = asyncio.Event()


class Hub:
    """Lives in the event loop; only `pages` is for other threads."""

    def __init__(self) -> None:
        self._open: set[_Page] = set()
        self._last: bytes | None = None
        self._closed = False

    @property
    def pages(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        return len(self._open) >= MOST_PAGES

    def send(self, snapshot: bytes, lines: bytes | None) -> None:
        """Send both to every page; each is a whole event."""
        self._last = snapshot
        for page in self._open:
            page.snapshot = snapshot
            if lines is not None:
                page.lines.append(lines)
            page.new.set()

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for page in self._open:
            page.new.set()

    async def events(self, first: bytes) -> AsyncIterator[bytes]:
        """One page's stream, until it or we close."""
        page = _Page()
        self._open.add(page)
        try:
            yield first
            page.snapshot = page.snapshot or self._last
            while not self._closed:
                if page.snapshot is None and not page.lines:
                    page.new.clear()
                    await page.new.wait()
                    continue
                snapshot, page.snapshot = page.snapshot, None
                parts = [*page.lines, *((snapshot,) if snapshot is not None else ())]
                page.lines.clear()
                yield b"".join(parts)
        finally:
            self._open.discard(page)


def event(name: str, data: bytes) -> bytes:
    """As it goes over the wire; JSON in ASCII holds no line end of any kind."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
