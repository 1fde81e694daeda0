"""A sample of the last messages for the dashboard, taken once for each batch, not for each message."""

import time
from collections import deque

__all__ = ["MessageSample"]

_KEPT = 10
_BYTES = 2048


class MessageSample:
    """Written by the thread that does the work, read by the one that reports."""

    __slots__ = ("_kept", "_number")

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float, bytes, int]] = deque(maxlen=_KEPT)
        self._number = 0

    def see(self, payload: bytes) -> None:
        """Keep the beginning of one message."""
        self._number += 1
        self._kept.append((self._number, time.time(), payload[:_BYTES], len(payload)))

    def snapshot(self, clock_offset: float) -> list[tuple[int, float, str, int]]:
        """For JSON, oldest first: a running number, when by Redis's clock, the first 2 KiB as text, bytes in all."""
        return [
            (number, round(at + clock_offset, 3), payload.decode("utf-8", "replace"), size)
            for number, at, payload, size in tuple(self._kept)
        ]
