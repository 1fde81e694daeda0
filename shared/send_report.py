"""What a `Publisher` of this library tells of itself, as a service does: its counts, once a second.

report = SendReport(self, settings, counts)    # nothing runs yet
report.begin()                                 # after each send, once it is counted: the first starts a thread
report.close()                                 # its last counts stay for a few seconds
"""

import os
import threading
import time
import weakref
from collections.abc import Mapping

from shared.connection import Link
from shared.counts import Counts
from shared.reporting import Reporter
from shared.settings import Settings

__all__ = ["SendReport"]


class _Sending:
    """Implements `shared.reporting.Loop` for one who sends when its caller says so: it never stands still."""

    name = "send"
    abandonable = True

    def __init__(self, counts: Mapping[str, Counts]) -> None:
        self.counts = counts

    @property
    def turned(self) -> float:
        return time.monotonic()

    def run(self) -> None:
        """Its callers do."""

    def interrupt(self, control: Link) -> None:
        """Nothing waits."""

    def totals(self) -> list[str]:
        return []


class SendReport:
    """Of one publisher. It handles no signals, writes no health file, and its thread holds up no exit."""

    def __init__(self, owner: object, settings: Settings, counts: Mapping[str, Counts]) -> None:
        """Nothing is started or connected before `begin`.

        Args:
            owner: when it is gone without a `close`, the report ends by itself.
            settings: name Redis and what is used there.
            counts: by pattern, kept up to date by whoever sends.
        """
        # the file is that of the service this may be a part of
        self._settings = settings.model_copy(update={"health_file": None})
        self._sending = _Sending(counts)
        self._owner = weakref.ref(owner)
        self._first = threading.Lock()
        self._running: tuple[Reporter, threading.Event] | None = None
        self._id: str | None = None
        self._pid: int | None = None

    def begin(self) -> None:
        """Something was sent. Cheap, and safe from any thread."""
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
            # the child of a parent that sent before has the parent's counts, which are told already
            if self._running is None and self._pid in (None, os.getpid()):
                self._running = self._start()

    def _start(self) -> tuple[Reporter, threading.Event]:
        stop = threading.Event()
        reporter = Reporter("publisher", self._settings, [self._sending], stop)
        if self._id is not None:
            reporter.instance_id = self._id
        self._id, self._pid = reporter.instance_id, os.getpid()
        if (owner := self._owner()) is not None:
            weakref.finalize(owner, _leave, reporter, stop)
        reporter.start()
        return reporter, stop


def _leave(reporter: Reporter, stop: threading.Event) -> None:
    stop.set()
    reporter.withdraw()
