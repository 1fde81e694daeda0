"""Listens on one pattern: it yields batches of deliveries, and reconnects after every outage."""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from townpost.consuming.deliveries import InFlight
from townpost.counts import Counts
from townpost.errors import SettingError, TownpostError, UnavailableError
from townpost.library_heartbeat import LibraryHeartbeat
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Batch, Delivery
from townpost.patterns.leased import ACKED, LeasedBatch
from townpost.prefetch import Prefetch
from townpost.redis.connection import Connection, endpoint
from townpost.redis.reconnector import Reconnector
from townpost.settings import Settings

__all__ = ["Listening", "listen"]

_GLANCE_SECONDS = 0.05
_MOST_IN_FLIGHT = 1_000
"""How many deliveries may be unanswered, unless PREFETCH is set."""


class Listening:
    """The listener of one pattern, with its reconnections. One thread uses it; any thread may set `stop`."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        stop: threading.Event,
        counts: Counts | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        """Nothing happens before `take`.

        Args:
            name: of the pattern.
            settings: with the URL.
            stop: ends every wait.
            counts: None if they are not needed.
            at_once: after a stop `take` returns within a second, whatever Redis does.
        """
        self.pattern = PATTERNS[name]
        self._stop = stop
        self._abandoned = False
        """A thread that still connects uses the listener."""
        self._connection = Connection(settings.url, name=f"townpost-{name}")
        self._connection.stop = stop if at_once else None
        self.listener = self.pattern.listener(settings, self._connection, counts or Counts())
        self.reconnector = Reconnector(
            name,
            self._opened,
            stop,
            connect_timeout=settings.connect_timeout,
            where=f"{endpoint(settings.url)}, listening on '{settings.name_of(self.pattern)}'",
            lost=self.listener.lost,
            explain=partial(settings.explain, name),
        )

    def take(self, limit: int) -> Batch | None:
        """The next batch, which may be empty; None after a stop."""
        return self.reconnector.run(self.listener.take, limit)

    def settle_if_possible(self, batch: Batch) -> None:
        """Settle a batch, see `Listener.settle`. If Redis does not answer, log it."""
        try:
            self.listener.settle(batch)
        except TownpostError as error:
            fate = "come again" if self.pattern.guarantees.redelivers else "are lost"
            logging.getLogger(f"townpost.{self.pattern.name}").warning(
                "%s; %d messages that were not begun %s", error, len(batch.unstarted), fate
            )

    def close(self) -> None:
        if not self._abandoned:
            self.listener.close()

    def _opened(self) -> None:
        if self._connection.stop is None:
            self.listener.open()
        else:
            self._open_unless_stopped()

    def _open_unless_stopped(self) -> None:
        """Open in a thread of its own, because connecting to a host that does not answer takes seconds."""
        opening = _Opening(self.listener.open, self.listener.close)
        while not opening.over.wait(_GLANCE_SECONDS):
            if self._stop.is_set() and opening.abandon():
                self._abandoned = True
                raise UnavailableError("stopped while connecting")
        if opening.error is not None:
            raise opening.error


class _Opening:
    """Opens in a thread that may be abandoned: then the thread itself closes what it has opened."""

    def __init__(self, open_: Callable[[], None], close: Callable[[], None]) -> None:
        self._open = open_
        self._close = close
        self._abandoned = False
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.error: BaseException | None = None
        threading.Thread(target=self._run, name="connecting", daemon=True).start()

    def abandon(self) -> bool:
        """Abandon it. Returns whether it was; not if it has just ended."""
        with self._lock:
            self._abandoned = not self.over.is_set()
        return self._abandoned

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self.error = error
        with self._lock:
            self.over.set()
        if self._abandoned:
            self._close()


def listen(
    pattern: str, *, settings: Settings | None = None, stop: threading.Event | None = None
) -> Iterator[Delivery]:
    """Yield the deliveries of one pattern, and reconnect after every outage of Redis.

    Where the pattern redelivers, answer each with `ack` or `fail`, from any thread. A delivery has failed if it is
    dropped without an answer, kept for longer than HANDLER_TIMEOUT, or in the loop's body when an exception or a
    `break` leaves the loop. Leaving the loop puts back the messages it did not reach, where the pattern can do that.

    Args:
        pattern: the name of one pattern.
        settings: None reads the environment.
        stop: set it from anywhere to end the loop after the message in flight, or within a second while it waits.

    Raises:
        SettingError, GaveUpError, RefusedError: at the start only; later outages are waited out.
    """
    settings = settings or Settings.read(pattern=pattern)
    if pattern not in PATTERNS:
        raise SettingError(f"listen() takes one of {', '.join(PATTERNS)}, not '{pattern}'")
    stop = stop or threading.Event()
    told = _Told(pattern, settings)
    listening = Listening(pattern, settings, stop, told.kept, at_once=True)
    prefetch = Prefetch(settings.prefetch)
    if listening.pattern.guarantees.redelivers:
        return _answered(listening, settings, prefetch, stop, told)
    return _taken_for_good(listening, prefetch, stop, told)


class _Told:
    """What a loop over `listen` has received and handled; the thread that reports reads it."""

    def __init__(self, pattern: str, settings: Settings) -> None:
        settings = settings.model_copy(update={"pattern": pattern})
        self.report = LibraryHeartbeat("subscriber", self, settings, self._counts)
        """The report, closed with the loop, which the interpreter ensures."""
        self.kept = Counts()
        """The counts, which the listener changes as well."""
        self._place = (pattern, settings.name_of(PATTERNS[pattern]))
        self._progress = (0, 0, Batch(pattern, []))
        """How many were begun and done before this batch, in one tuple, because another thread reads both."""

    def begins(self, batch: Batch) -> None:
        """Count a batch of a pattern without redelivery: each message counts as handled when it is yielded."""
        begun, done, last = self._progress
        self._progress = (begun + last.position, done + last.acked, batch)

    def settled(self, batch: LeasedBatch) -> None:
        failed = len(batch.failures)
        begun = failed + batch.status.count(ACKED)
        self.kept.received += begun
        self.kept.handled += begun - failed
        self.kept.failed += failed

    def _counts(self) -> dict[tuple[str, str], Counts]:
        begun, done, batch = self._progress
        if begun + batch.position:
            unreadable = self.kept.unreadable
            self.kept.received = begun + batch.position - unreadable
            self.kept.handled = max(0, done + batch.acked - unreadable)
        return {self._place: self.kept}


def _answered(
    listening: Listening, settings: Settings, prefetch: Prefetch, stop: threading.Event, told: _Told
) -> Iterator[Delivery]:
    def settle(batch: LeasedBatch) -> None:
        told.settled(batch)
        listening.settle_if_possible(batch)

    in_flight = InFlight(
        listening.pattern.name,
        settle,
        stop,
        handler_timeout=settings.handler_timeout,
        most=1 + (settings.prefetch or _MOST_IN_FLIGHT),  # the loop's own variable holds the last one
    )
    with contextlib.closing(told.report), contextlib.closing(listening), contextlib.closing(in_flight):
        while (batch := listening.take(prefetch.limit)) is not None:
            told.report.begin()
            if isinstance(batch, LeasedBatch):
                started = time.perf_counter()
                told.kept.recent.see(batch.payloads[0])
                yield from in_flight.deliveries(batch)
                prefetch.worked(batch.position, time.perf_counter() - started)
            in_flight.sweep()


def _taken_for_good(listening: Listening, prefetch: Prefetch, stop: threading.Event, told: _Told) -> Iterator[Delivery]:
    with contextlib.closing(told.report), contextlib.closing(listening):
        while (batch := listening.take(prefetch.limit)) is not None:
            told.report.begin()
            started = time.perf_counter()
            told.begins(batch)
            if batch.payloads:
                told.kept.recent.see(batch.payloads[0])
            settled = False
            try:
                yield from _until_stopped(batch, stop, told.kept)
                if batch.unstarted and not stop.is_set():  # the batch overran
                    try:
                        listening.listener.settle(batch)
                        settled = True
                    except TownpostError:  # the rest cannot be given back, so it is handled here
                        batch.until = math.inf
                        yield from _until_stopped(batch, stop, told.kept)
            finally:
                if not settled:
                    listening.settle_if_possible(batch)
            prefetch.worked(batch.position, time.perf_counter() - started)


def _until_stopped(batch: Batch, stop: threading.Event, counts: Counts) -> Iterator[Delivery]:
    for delivery in batch:
        if delivery.message is None:
            counts.unreadable += 1
        yield delivery
        batch.acked = delivery.index + 1
        if stop.is_set():
            return
