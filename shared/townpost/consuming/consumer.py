"""The thread of one pattern: it takes batches, calls the handler with their messages, and counts."""

import logging
import math
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from functools import partial

from townpost.consuming.handlers import Handler
from townpost.consuming.listening import Listening
from townpost.consuming.tracker import Tracker
from townpost.counts import Counts
from townpost.errors import TownpostError, UnreadableError
from townpost.message import Message
from townpost.patterns.ack_pipeline import AcknowledgesApart
from townpost.patterns.contract import Batch
from townpost.prefetch import Prefetch
from townpost.redis.connection import Connection
from townpost.settings import Settings
from townpost.text import excerpt, told
from townpost.verdicts import Policy

__all__ = ["Consumer"]

_LAST_BATCH_SECONDS = 0.5
"""How long after a stop the handler still gets messages that cannot be given back."""


class Consumer:
    """Implements `townpost.heartbeat.Loop`."""

    def __init__(self, name: str, settings: Settings, handler: Handler, stop: threading.Event) -> None:
        self.name = name
        self._counts = Counts()
        self._progress = (0, 0, Batch(name, []))
        """How many were begun and done before this batch, in one tuple, because other threads read both."""
        self._takes = 0
        self._turned = (0, time.monotonic())
        self._listening = Listening(name, settings, stop, self._counts)
        self._handler = handler
        self._stop = stop
        self._prefetch = Prefetch(settings.prefetch)
        self._log = logging.getLogger(f"townpost.{name}")
        self._listener = self._listening.listener
        self._redelivers = self._listening.pattern.guarantees.redelivers
        self._tracker = Tracker(self._listening.pattern.guarantees, self._counts, self._log)
        self._known_failures: set[str] = set()

    def tell_attempts(self) -> None:
        """Whether batches look up how often their messages were tried."""
        if isinstance(self._listener, AcknowledgesApart):
            self._listener.tells_attempts = True

    @property
    def turned(self) -> float:
        """Sampled when read: no clock is read for each message."""
        begun, done, batch = self._progress
        turns = self._takes + begun + batch.position + done + batch.acked
        if self._turned[0] != turns:
            self._turned = (turns, time.monotonic())
        return self._turned[1]

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Counts up to the message in flight, computed when read: nothing is counted for each message."""
        begun, done, batch = self._progress
        c = self._counts
        skipped = _skipped(batch)
        c.received = begun + batch.position - skipped - c.unreadable
        c.handled = max(0, done + batch.acked - skipped - c.unreadable - c.failed)
        return {self.name: c}

    @property
    def holds(self) -> bool:
        """Whether a begun message is not answered."""
        _, _, batch = self._progress
        return batch.position > batch.acked

    @property
    def abandonable(self) -> bool:
        return self._listening.reconnector.connecting

    def run(self) -> None:
        try:
            while (batch := self._listening.take(self._prefetch.limit)) is not None:
                self._takes += 1
                self._counts.reconnects = self._listening.reconnector.outages
                if batch.payloads:
                    self._counts.recent.see(batch.payloads[0])
                    self._work(batch)
        finally:
            self._listening.close()

    def interrupt(self, control: Connection) -> None:
        self._listener.interrupt(control)

    def totals(self) -> list[str]:
        if not self._listening.reconnector.worked:
            return []
        c = self.counts[self.name]
        others = {"duplicates": c.duplicates}
        if self._tracker.watches_gaps:
            others |= {"missed": c.missed, "dropped at the stop": c.dropped}
        line = c.in_words(others, redelivers=self._redelivers)
        p50, p99 = c.latency.quantile(0.5), c.latency.quantile(0.99)
        if p50 is not None and p99 is not None:
            line += f"; from timestamp to handler p50 {p50:g} ms, p99 {p99:g} ms at most"
        return [f"total from {self._listening.pattern.label}: {line}"]

    def _work(self, batch: Batch) -> None:
        started = time.perf_counter()
        begun, done, last = self._progress
        skipped = _skipped(last) if last.skipped else 0
        self._progress = (begun + last.position - skipped, done + last.acked - skipped, batch)
        try:
            self._handle(batch)
        except TownpostError:
            # the printer prints all of a batch or nothing, and could not print
            batch.rewind()
            self._listener.settle(batch)
            self._log.warning("%d messages in flight are given back, if the pattern can do that", len(batch.unstarted))
            raise
        self._prefetch.worked(batch.acked, time.perf_counter() - started)
        try:
            self._listener.settle(batch)
        except TownpostError as error:
            if not self._redelivers:
                # no other consumer can get these
                self._log.warning(
                    "%s; handling the %d messages in flight instead of giving them back", error, len(batch.unstarted)
                )
                batch.until = math.inf
                self._handle(batch, to_the_end=True)

    def _handle(self, batch: Batch, *, to_the_end: bool = False) -> None:
        first = batch.position
        already = self._progress[0] + first - self._counts.unreadable - (_skipped(batch) if batch.skipped else 0)
        self._handler(batch, self._readable(batch, to_the_end=to_the_end), already, partial(self._failed, batch))
        batch.acked = batch.position
        if self._tracker.ids:
            self._tracker.handled(batch, first)

    def _readable(self, batch: Batch, *, to_the_end: bool) -> Iterator[tuple[int, Message]]:
        """Yield the messages for the handler; after a stop the rest is not begun.

        Millions of messages pass this loop, so it does nothing that can be done once for a batch.
        """
        whole, stopped, now = self._handler.whole, self._stop.is_set, time.monotonic
        dropped_at: float | None = None
        while batch.position < len(batch.payloads):
            first, chunk = batch.position, batch.next_chunk()
            hear = self._tracker.chunk(chunk, first=not first)
            for index, message in enumerate(chunk, first):
                batch.position = index + 1  # set before `until` is read, see `stop_beginning`
                if now() > batch.until and not batch.may_begin(index):
                    batch.position = index
                    self._tracker.forget(chunk[index - first :])
                    return
                if type(message) is Message:
                    if hear is not None:
                        hear(message)
                    yield index, message
                elif isinstance(message, UnreadableError):
                    self._unreadable(batch, index, message)
                if not whole:
                    batch.acked = index + 1
                if stopped() and not to_the_end:
                    dropped_at = dropped_at or now() + (0 if self._listener.can_requeue else _LAST_BATCH_SECONDS)
                    if now() >= dropped_at:
                        self._drop(batch)
                        return

    def _drop(self, batch: Batch) -> None:
        """After a stop, yield the rest of a batch that cannot be given back."""
        if not self._listener.can_requeue and batch.unstarted:
            self._counts.dropped += len(batch.unstarted)
            self._log.warning("stopped with %d received messages unhandled; they are lost", len(batch.unstarted))

    def _failed(self, batch: Batch, index: int, error: Exception, policy: Policy | None = None) -> None:
        batch.answered(index, error, policy)
        self._counts.failed += 1
        if self._handler.logs_failures:
            return
        where = _place(error)
        new = where not in self._known_failures
        self._known_failures.add(where)
        self._log.error(
            "the handler failed with %s: %s%s",
            type(error).__name__,
            told(error),
            where,
            exc_info=error if new else None,
        )

    def _unreadable(self, batch: Batch, index: int, problem: UnreadableError) -> None:
        self._counts.unreadable += 1
        self._log.warning("unreadable message (%s): %s", problem, excerpt(batch.payloads[index]))
        batch.answered(index, problem)


def _skipped(batch: Batch) -> int:
    """How many messages were skipped without being delivered."""
    return sum([index < batch.position for index in batch.skipped])


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
