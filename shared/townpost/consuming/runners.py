"""Calls the handlers of a subscription that handles several messages at once."""

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
    """Workers that take from a backlog."""

    def start(self, backlog: Backlog) -> None:
        """Begin; called once, from the thread that takes."""
        ...

    def wake(self, count: int) -> None:
        """So many messages were added."""
        ...

    def end(self, seconds: float) -> int:
        """Wait for begun messages, then cancel where possible. Returns how many are still being handled."""
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
        if count:
            self._wake_one()

    def _wake_one(self) -> None:
        """Wake a sleeping worker, or start one if there may be more. It wakes the next one itself."""
        with self._idle:
            sleeping = self._waiting > self._woken
            new = not sleeping and self._made < self._concurrency
            self._made += new
            # one that is about to sleep finds that it was woken; to be woken for nothing does no harm
            self._woken = min(self._woken + (not new), self._made)
            self._idle.notify()
        if new:
            try:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            except RuntimeError:  # the system has no room for one more: those that run go on
                with self._idle:
                    self._made -= 1

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
        woken = True
        while True:
            work = backlog.next(slot)
            if work is not None:
                if woken or slot.refilled:
                    woken = slot.refilled = False
                    if backlog.unbegun and not backlog.quick:
                        self._wake_one()
                self._do(slot, work)
            elif self._wait():
                woken = True
            else:
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
        except Reject as rejected:
            calls.tell(None, rejected, batch, work.indexes)
            self._backlog.ended(slot, work, rejected)
            return
        failed = calls.call(route, batch, work.indexes, work.messages)
        self._backlog.ended(slot, work, failed, route.policy)
