"""Decides how many messages one subscription takes: one for each free worker, and about 50 ms of work more."""

import threading
import time
from collections.abc import Callable, Sequence

from townpost.consuming.flights import Slot
from townpost.prefetch import Prefetch

__all__ = ["Demand"]

_LOOK_SECONDS = 0.1
_QUICK_LOOK_SECONDS = 0.02
_QUICK = 500
"""If so many messages are handled in 50 ms, waking another worker costs more than it saves."""
_LEAST_LIST = 10
"""A handler of lists gets at least so many messages, if so many wait."""
_MEASURED_SECONDS = 0.001


class Demand:
    """The thread that takes waits here; workers wake it when there is room."""

    def __init__(self, slots: Sequence[Slot], *, concurrency: int, whole: bool, ahead: bool) -> None:
        """Nothing is in flight.

        Args:
            slots: of the workers; more come.
            concurrency: how many messages may be handled at once.
            whole: a worker gets all of a batch at once.
            ahead: more may be taken than there are free workers.
        """
        self.waits = False
        """The thread that takes waits for room."""
        self._slots = slots
        self._concurrency = concurrency
        self._whole = whole
        self._ahead = ahead
        self._room = threading.Event()
        self._prefetch = Prefetch()
        self._measured = (0, 0.0)

    @property
    def running(self) -> int:
        """How many pieces of work the workers have."""
        return sum([slot.begun - slot.ended for slot in self._slots])

    @property
    def quick(self) -> bool:
        """Whether the handlers are so fast that one worker does as much as many."""
        return self._prefetch.limit >= _QUICK

    def wait(self, unbegun: Callable[[], int], stopped: Callable[[], bool], stalled: Callable[[], object]) -> int:
        """Wait until there is room; return how many messages to take, given how many were taken and not begun.

        Returns 0 after a stop. Meanwhile ``stalled`` is called now and then: handlers that were quick may have begun to
        wait, and then too few workers are awake.
        """
        started, ended = time.monotonic(), self._ended()
        waited = False
        while not stopped():
            self._room.clear()
            self.waits = True  # set before the check: a thread that changes something afterwards sees it
            if room := self._of(unbegun()):
                self.waits = False
                if waited:
                    self._measure(self._ended() - ended, time.monotonic() - started)
                return room
            waited = True
            before = self._ended()
            told = self._room.wait(_QUICK_LOOK_SECONDS if self.quick else _LOOK_SECONDS)
            if not told and unbegun() and self._ended() == before:
                self.overran()
                stalled()
        return 0

    def overran(self) -> None:
        """What was taken was sized by work that was quicker: measure anew."""
        self._prefetch = Prefetch()

    def look(self, unbegun: int) -> None:
        """Wake the thread that takes, if it should take something: otherwise it would only compete with the workers."""
        if (self._whole or unbegun <= self._prefetch.limit // 2) and self._of(unbegun):
            self.waits = False  # it is enough to wake it once
            self._room.set()

    def wake(self) -> None:
        """Make the thread that takes check again."""
        self._room.set()

    def _of(self, unbegun: int) -> int:
        if self._whole:  # a batch for each free worker
            return max(_LEAST_LIST, self._prefetch.limit) if self.running + unbegun < self._concurrency else 0
        ahead = self._prefetch.limit - 1 if self._ahead else 0
        return 0 if unbegun > ahead // 2 else max(0, self._concurrency - self.running + ahead - unbegun)

    def _ended(self) -> int:
        return sum([slot.handled + slot.failed for slot in self._slots])

    def _measure(self, ended: int, seconds: float) -> None:
        """The speed of the workers while they have enough work."""
        ended, seconds = ended + self._measured[0], seconds + self._measured[1]
        if seconds > _MEASURED_SECONDS and ended:
            self._prefetch.worked(ended, seconds)
            ended, seconds = 0, 0.0
        self._measured = (ended, seconds)
