"""Decides how many messages are taken at once: as many as the handler needs about 50 ms for, as measured.

From 1 (slow handlers share fairly, and little is at stake in a crash) to 1,000 (no-op handlers run at full
speed). PREFETCH pins it.
"""

__all__ = ["OVERRUN_SECONDS", "Prefetch"]

OVERRUN_SECONDS = 0.1
"""How long a batch may take. What it has not begun by then was sized by work that was quicker, and goes back."""

_WORK_SECONDS = 0.05
_MOST = 1_000
_MEMORY = 0.3
"""Weight of the newest measurement in the running mean."""


class Prefetch:
    """Grows at most twofold a turn, shrinks at once."""

    def __init__(self, pinned: int | None = None) -> None:
        self._pinned = pinned
        self.limit = pinned or 1
        self._each: float | None = None

    def worked(self, handled: int, seconds: float) -> None:
        """Handling this many messages took this long."""
        if self._pinned or not handled:
            return
        each = seconds / handled
        self._each = each if self._each is None else self._each + _MEMORY * (each - self._each)
        fitting = int(_WORK_SECONDS / max(self._each, each, 1e-9))
        self.limit = max(1, min(fitting, self.limit * 2, _MOST))
