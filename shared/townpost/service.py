"""Runs the loops of a service in threads; the main thread waits for a signal or for their end.

On SIGTERM or SIGINT it stops the loops, waits for what they have in flight, and leaves the totals in the log. The main
thread never talks to Redis, so that nothing Redis does or fails to do can hold up a stop.
"""

import logging
import signal
import threading
import time
from collections.abc import Sequence

from townpost.errors import TownpostError
from townpost.heartbeat import Heartbeat, Loop
from townpost.settings import Settings

__all__ = ["Service"]

_GLANCE_SECONDS = 0.05


class Service:
    """One process: `run` it in the main thread."""

    def __init__(self, role: str, settings: Settings, loops: Sequence[Loop], stop: threading.Event) -> None:
        self._log = logging.getLogger(f"townpost.{role}")
        self._loops = loops
        self._stop = stop
        self._reporter = Heartbeat(role, settings, loops, stop)
        self._failed = False
        self._signalled = False

    def run(self) -> int:
        """The exit status: 0 when stopped or done, 1 when a loop ended with an error."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threads = [
            threading.Thread(target=self._guard, args=(loop,), name=loop.name, daemon=True) for loop in self._loops
        ]
        for thread in threads:
            thread.start()
        self._reporter.start()
        while not (self._signalled or self._stop.is_set()) and any(thread.is_alive() for thread in threads):
            time.sleep(_GLANCE_SECONDS)
        self._stop.set()
        self._wait_for(threads)
        for loop in self._loops:
            for line in loop.totals():
                self._log.info("%s", line)
        self._reporter.withdraw()
        return 1 if self._failed else 0

    def _on_signal(self, number: int, _frame: object) -> None:
        # it only sets a flag: the interrupted code may hold the lock of the event
        self._signalled = True
        # a second one ends the process at once, should the first wait for a handler that hangs
        signal.signal(number, signal.SIG_DFL)

    def _guard(self, loop: Loop) -> None:
        try:
            loop.run()
        except TownpostError as error:
            self._failed = True
            self._log.error("%s", error)
            self._stop.set()
        except BaseException:  # noqa: BLE001 - logged with its traceback: a thread must not end in silence
            self._failed = True
            self._log.exception("the %s loop broke; this is a bug in Townpost", loop.name)
            self._stop.set()

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        said_at = time.monotonic() + 1.0
        while busy := [
            loop.name
            for loop, thread in zip(self._loops, threads, strict=True)
            if thread.is_alive() and not loop.abandonable
        ]:
            time.sleep(_GLANCE_SECONDS / 5)
            if time.monotonic() > said_at:
                said_at = float("inf")
                self._log.info("waiting for what is in flight: %s (a second signal ends it at once)", ", ".join(busy))
