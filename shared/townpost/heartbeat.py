"""One thread that reports the state of a service once a second, to Redis and to HEALTH_FILE.

The counts go to Redis under the instance's own key with a few seconds to live (a key that is gone is an instance
that is gone), its id into a sorted set by time last seen, so that finding the running instances needs neither KEYS nor
SCAN. The loops' last turns go to HEALTH_FILE.
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import uuid4

from townpost import keys
from townpost.counts import Counts
from townpost.errors import PasswordError, RefusedError, UnavailableError
from townpost.health import HealthFile
from townpost.logs import LastError
from townpost.redis.connection import Connection
from townpost.settings import Settings

__all__ = ["Heartbeat", "Loop"]

_REPORT_SECONDS = 1.0
_UNCHANGED_SECONDS = 2.9
"""How long a report may wait when nothing was counted: an idle service should cost Redis almost nothing."""
_ENTRY_SECONDS = 10.0
_REPORT_LIVES_SECONDS = 5
_ENDED_LIVES_SECONDS = 15
_FORGOTTEN_SECONDS = 3600
_REFUSED_SECONDS = 15.0
_INTERRUPT_SECONDS = 0.05
_FAREWELL_SECONDS = 0.2


class Loop(Protocol):
    """One thread's work."""

    @property
    def name(self) -> str: ...

    @property
    def turned(self) -> float:
        """When it last made progress, by the monotonic clock."""
        ...

    @property
    def counts(self) -> Mapping[str, Counts]:
        """The counts by pattern."""
        ...

    @property
    def abandonable(self) -> bool:
        """Whether a stop may leave it where it is, since nothing is in flight."""
        ...

    def run(self) -> None:
        """Return when done or stopped; raise TownpostError for what only a user can correct."""
        ...

    def interrupt(self, control: Connection) -> None:
        """Called again and again while it does not end after a stop, from another thread."""
        ...

    def totals(self) -> list[str]:
        """Lines for the log at the end."""
        ...


class Heartbeat:
    """Runs until the service stops; then wakes the loops out of their waits until `withdraw`."""

    def __init__(
        self,
        role: str,
        settings: Settings,
        loops: Sequence[Loop],
        stop: threading.Event,
        *,
        elsewhere: Callable[[], Mapping[tuple[str, str], Counts]] = dict,
    ) -> None:
        """Nothing is started or connected.

        Args:
            role: as the dashboard shows it.
            settings: name Redis and what is used there.
            loops: their counts are reported, by pattern.
            stop: ends the reports.
            elsewhere: counts by pattern and name, of names that are not those of the settings.
        """
        self._elsewhere = elsewhere
        self.instance_id = f"{role}-{socket.gethostname()}-{uuid4().hex[:8]}"
        self._role = role
        self._loops = self._watched = loops
        self._stop = stop
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)
        self._log = logging.getLogger(f"townpost.{role}")
        self._health = None if settings.health_file is None else HealthFile(settings.health_file, self._log)
        self._connection = Connection(settings.url, name=f"townpost-{role}-control")
        self._started = time.time()
        self._redis_answered = time.monotonic()
        self._clock_offset = 0.0
        self._refused_until = 0.0
        self._said = ""
        self._reported: tuple[float, object] = (0.0, None)
        self._entered = 0.0
        self._settings = settings
        self._last_error = LastError()

    def watch(self, loops: Sequence[Loop]) -> None:
        """The health file reports these, too."""
        self._watched = loops

    def start(self) -> None:
        logging.getLogger("townpost").addHandler(self._last_error)
        self._thread.start()

    def _run(self) -> None:
        while True:
            with contextlib.suppress(UnavailableError):  # the loops say so
                self._report()
            if self._health is not None:
                turns = {
                    loop.name if loop in self._loops else f"{loop.name} #{n}": loop.turned
                    for n, loop in enumerate(self._watched)
                }
                self._health.write(turns, self._redis_answered)
            if self._stop.wait(_REPORT_SECONDS):
                break
        if not self._connection.connected:
            return
        with contextlib.suppress(UnavailableError):
            while not self._done.wait(_INTERRUPT_SECONDS):
                for loop in self._loops:
                    with contextlib.suppress(RefusedError):
                        loop.interrupt(self._connection)
            self._remove()
        self._connection.close()

    def withdraw(self) -> None:
        """Report that the service has ended. A killed service is noticed by its silence."""
        self._done.set()
        self._thread.join(_FAREWELL_SECONDS)
        logging.getLogger("townpost").removeHandler(self._last_error)

    def _report(self) -> None:
        try:
            if not self._connection.connected:
                self._connection.connect()
                self._clock_offset = _seconds(self._connection) - time.time()
                # the dashboard identifies us by the id of our connection; and Redis may have lost everything
                self._reported, self._entered = (0.0, None), 0.0
            if time.monotonic() < self._refused_until:
                self._connection.call("PING")
            else:
                self._write_counts()
        except RefusedError as error:
            self._refused_until = time.monotonic() + _REFUSED_SECONDS
            if str(error) != self._said and not isinstance(error, PasswordError):  # that ends the loops, who say so
                self._said = str(error)
                self._log.warning("counts are not reported to Redis: %s", error)
        self._redis_answered = time.monotonic()

    def _counts(self) -> dict[str, Counts]:
        return {name: counts for loop in self._loops for name, counts in loop.counts.items()}

    def _write_counts(self) -> None:
        patterns = {name: c.snapshot() for name, c in self._counts().items()}
        elsewhere = self._told_elsewhere()
        told = (patterns, elsewhere)
        reported, last = self._reported
        if told == last and time.monotonic() - reported < _UNCHANGED_SECONDS:
            return
        now = self._write_snapshot(patterns, elsewhere, _REPORT_LIVES_SECONDS)
        if time.monotonic() - self._entered >= _ENTRY_SECONDS or not self._entered:
            self._connection.call("ZADD", keys.instances(), now, self.instance_id)
            if not self._entered:
                self._connection.call("ZREMRANGEBYSCORE", keys.instances(), "-inf", now - _FORGOTTEN_SECONDS)
            self._entered = time.monotonic()
        self._reported = (time.monotonic(), told)

    def _told_elsewhere(self) -> list[object]:
        """What was sent under other names, for one report a process."""
        return [
            {"pattern": pattern, "name": name, "sent": counts.sent, "unheard": counts.unheard}
            for (pattern, name), counts in self._elsewhere().items()
        ]

    def _write_snapshot(
        self, patterns: Mapping[str, object], elsewhere: Sequence[object], lives: int, *, ended: bool = False
    ) -> float:
        """When it is from, by Redis's clock."""
        now = time.time() + self._clock_offset
        snapshot = {
            "id": self.instance_id,
            "role": self._role,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": self._started + self._clock_offset,
            "at": now,
            "client_id": self._connection.client_id,
            "clock_offset": -round(self._clock_offset, 3),
            "pattern": self._settings.pattern,
            "names": {pattern.name: self._settings.name_of(pattern) for pattern in self._settings.patterns},
            "group": self._settings.consumer_group,
            "patterns": patterns,
            "elsewhere": elsewhere,
            "recent": {name: c.recent.snapshot(self._clock_offset) for name, c in self._counts().items()},
            "error": self._last_error.text,
            "error_at": None if self._last_error.at is None else self._last_error.at + self._clock_offset,
            "ended": ended,
            "stall_seconds": self._settings.health_seconds,
            "idle_seconds": {loop.name: round(time.monotonic() - loop.turned, 1) for loop in self._loops},
        }
        self._connection.call("SET", keys.instance(self.instance_id), json.dumps(snapshot), "EX", lives)
        return now

    def _remove(self) -> None:
        """Keep our last counts for a few seconds; otherwise the dashboard would miss a short run."""
        if not self._entered:
            return
        with contextlib.suppress(RefusedError):
            patterns = {name: c.snapshot() for name, c in self._counts().items()}
            now = self._write_snapshot(patterns, self._told_elsewhere(), _ENDED_LIVES_SECONDS, ended=True)
            self._connection.pipeline(
                [
                    ("ZADD", keys.ended(), now, self.instance_id),
                    ("EXPIRE", keys.ended(), _ENDED_LIVES_SECONDS),
                    ("ZREMRANGEBYSCORE", keys.ended(), "-inf", now - _ENDED_LIVES_SECONDS),
                    ("ZREM", keys.instances(), self.instance_id),
                ]
            )


def _seconds(connection: Connection) -> float:
    match connection.call("TIME"):
        case [bytes(seconds), bytes(micros)]:
            return int(seconds) + int(micros) / 1e6
        case reply:
            raise UnavailableError(f"Redis answered TIME with {reply!r}")
