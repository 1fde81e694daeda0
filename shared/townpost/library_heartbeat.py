"""Reports the counts of a `Publisher` or a `listen` in a user's program once a second, as a service does.

report = LibraryHeartbeat("publisher", self, settings, lambda: by_name)   # nothing runs yet
report.begin()                                 # after each send, once it is counted: the first starts a thread
report.close()                                 # its last counts stay for a few seconds
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TypeAlias

from townpost.counts import Counts
from townpost.heartbeat import Heartbeat
from townpost.redis.connection import Connection
from townpost.settings import Settings

__all__ = ["LibraryHeartbeat"]


ByName: TypeAlias = Callable[[], dict[tuple[str, str], Counts]]
"""Counts by pattern and name."""


class _Called:
    """Implements `townpost.heartbeat.Loop` for what is done when its caller says so: it never stalls."""

    abandonable = True

    def __init__(self, name: str, settings: Settings, counts: ByName) -> None:
        self.name = name
        self._own = {pattern.name: settings.name_of(pattern) for pattern in settings.patterns}
        self._counts = counts

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Of the names in the settings, by pattern."""
        found = self._counts()
        return {pattern: found[pattern, name] for pattern, name in self._own.items() if (pattern, name) in found}

    def elsewhere(self) -> dict[tuple[str, str], Counts]:
        """Of all other names."""
        own = set(self._own.items())
        return {place: counts for place, counts in self._counts().copy().items() if place not in own}

    @property
    def turned(self) -> float:
        return time.monotonic()

    def run(self) -> None:
        """Its callers do."""

    def interrupt(self, control: Connection) -> None:
        """Nothing waits."""

    def totals(self) -> list[str]:
        return []


class LibraryHeartbeat:
    """Of one publisher or listener. It handles no signals, writes no health file, and its thread holds up no exit."""

    def __init__(self, role: str, owner: object, settings: Settings, counts: ByName) -> None:
        """Nothing is started or connected before `begin`.

        Args:
            role: as the services have it, ``publisher`` or ``subscriber``.
            owner: when it is gone without a `close`, the report ends by itself.
            settings: name Redis and what is used there.
            counts: tells them by pattern and name, from another thread; it must not hold the owner.
        """
        # the file is that of the service this may be a part of
        self._settings = settings.model_copy(update={"health_file": None})
        self._role = role
        self._called = _Called(role, self._settings, counts)
        self._owner = weakref.ref(owner)
        self._first = threading.Lock()
        self._running: tuple[Heartbeat, threading.Event] | None = None
        self._id: str | None = None
        self._pid: int | None = None

    def begin(self) -> None:
        """There is something to tell. Cheap, and safe from any thread."""
        if self._running is None:
            self._begin()

    def close(self) -> None:
        """Take leave; a `begin` after it goes on with the same counts under the same name."""
        with self._first:
            running, self._running = self._running, None
        # the thread of a parent does not run in its child, which has nothing to say for it
        if running is not None and self._pid == os.getpid():
            reporter, stop = running
            stop.set()
            reporter.withdraw()

    def _begin(self) -> None:
        with self._first:
            # a forked child has the counts of its parent, which the parent has reported
            if self._running is None and self._pid in (None, os.getpid()):
                self._running = self._start()

    def _start(self) -> tuple[Heartbeat, threading.Event]:
        stop = threading.Event()
        reporter = Heartbeat(self._role, self._settings, [self._called], stop, elsewhere=self._called.elsewhere)
        if self._id is not None:
            reporter.instance_id = self._id
        self._id, self._pid = reporter.instance_id, os.getpid()
        if (owner := self._owner()) is not None:
            weakref.finalize(owner, _leave, reporter, stop)
        reporter.start()
        return reporter, stop


def _leave(reporter: Heartbeat, stop: threading.Event) -> None:
    stop.set()
    reporter.withdraw()
