"""What calls the handlers of a subscription that has several messages at work at once."""

import threading
import time
from typing import Protocol

from townpost.consuming.backlog import Backlog
from townpost.consuming.calls import Calls
from townpost.consuming.flights import Slot, Work
from townpost.verdicts import Reject

__all__ = ["Runner", "Threads"]

_GLANCE_SECONDS = 0.02


class Runner(Protocol):
    """Workers that help themselves from a backlog."""

    def start(self, backlog: Backlog) -> None:
        """Begin; called once, from the thread that takes."""
        ...

    def wake(self, count: int) -> None:
        """So many messages were added."""
        ...

    def end(self, seconds: float) -> int:
        """Wait so long for what is begun, then end it where that is possible; how many messages are still at work."""
        ...


class Threads:
    """A pool of threads, each made when there is work for it."""

    def __init__(self, calls: Calls, concurrency: int, name: str) -> None:
        self._calls = calls
        self._concurrency = concurrency
        self._name = name
        self._idle = threading.Condition()
        self._waiting = 0
        self._woken = 0
        self._made = 0
        self._ending = False

    def start(self, backlog: Backlog) -> None:
        self._backlog = backlog

    def wake(self, count: int) -> None:
        with self._idle:
            more = min(max(0, count - max(0, self._waiting - self._woken)), self._concurrency - self._made)
            self._made += more
            # one that is about to sleep finds that it was woken; to be woken for nothing does no harm
            self._woken = min(self._woken + count, self._made)
            self._idle.notify(count)
        for _ in range(more):
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def end(self, seconds: float) -> int:
        until = time.monotonic() + seconds
        while self._backlog.running and time.monotonic() < until:
            time.sleep(_GLANCE_SECONDS)
        with self._idle:
            self._ending = True
            self._idle.notify_all()
        return self._backlog.running

    def _run(self) -> None:
        backlog = self._backlog
        slot = backlog.slot()
        while True:
            work = backlog.next(slot)
            if work is not None:
                self._do(slot, work)
            elif not self._wait():
                return

    def _wait(self) -> bool:
        with self._idle:
            if self._ending:
                return False
            self._waiting += 1
            while not self._woken and not self._ending:
                self._idle.wait()
            self._waiting -= 1
            if self._woken:
                self._woken -= 1
            return not self._ending

    def _do(self, slot: Slot, work: Work) -> None:
        calls, batch = self._calls, work.flight.batch
        try:
            route = calls.route(work.messages[0])
        except Reject as nobody:
            calls.tell(None, nobody, batch, work.indexes)
            self._backlog.ended(slot, work, nobody)
            return
        failed = calls.call(route, batch, work.indexes, work.messages)
        self._backlog.ended(slot, work, failed, route.policy)
