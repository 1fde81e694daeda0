"""One pattern's thread: takes batches, hands their messages to the handler, keeps the counts."""

import logging
import threading
import time
import traceback
from collections.abc import Iterator

from shared.connection import Link
from shared.counts import Counts
from shared.errors import TownpostError
from shared.listening import Listening
from shared.message import Message
from shared.patterns.contract import Batch, Delivery
from shared.prefetch import Prefetch
from shared.settings import Settings
from shared.text import excerpt, told
from subscriber.gaps import Gap, GapWatch
from subscriber.handlers import Handler
from subscriber.seen import Seen

__all__ = ["Consumer"]

_LAST_BATCH_SECONDS = 0.5
"""How long after a stop messages that cannot be given back are still handled."""


class Consumer:
    """Implements `shared.reporting.Loop`."""

    def __init__(self, name: str, settings: Settings, handler: Handler, stop: threading.Event) -> None:
        self.name = name
        self._turns = 0
        self._turned = (0, time.monotonic())
        self._counts = Counts()
        self._listening = Listening(name, settings, stop, self._counts)
        self._handler = handler
        self._stop = stop
        self._prefetch = Prefetch(settings.prefetch)
        self.counts = {name: self._counts}
        self._log = logging.getLogger(f"townpost.{name}")
        self._watch = GapWatch() if self._hears_everything() else None
        # where messages come again by design, a known id says nothing
        self._redelivers = self._listening.pattern.guarantees.redelivers
        self._seen = None if self._redelivers else Seen()
        self._known_failures: set[str] = set()

    def _hears_everything(self) -> bool:
        guarantees = self._listening.pattern.guarantees
        return guarantees.fan_out and not guarantees.redelivers

    @property
    def turned(self) -> float:
        """As far as whoever asks from time to time can know: no clock is read for each message."""
        if self._turned[0] != self._turns:
            self._turned = (self._turns, time.monotonic())
        return self._turned[1]

    @property
    def abandonable(self) -> bool:
        return self._listening.session.connecting

    def run(self) -> None:
        try:
            while (batch := self._listening.take(self._prefetch.limit)) is not None:
                self._turns += 1
                self._counts.reconnects = self._listening.session.outages
                if len(batch):
                    self._counts.recent.see(batch.payloads[0])
                    self._work(batch)
        finally:
            self._listening.close()

    def interrupt(self, control: Link) -> None:
        self._listening.interrupt(control)

    def totals(self) -> list[str]:
        if not self._listening.session.worked:
            return []
        c = self._counts
        numbers = {
            "received": c.received,
            "handled": c.handled,
            "failed": c.failed,
            "unreadable": c.unreadable,
            "duplicates": c.duplicates,
        }
        if self._watch is not None:
            numbers |= {"missed": c.missed, "dropped at the stop": c.dropped}
        if self._listening.pattern.guarantees.redelivers:
            numbers |= {"retried": c.retried, "dead": c.dead, "recovered": c.recovered, "too late": c.late}
        line = ", ".join(f"{value:,} {name}" for name, value in numbers.items())
        p50, p99 = c.latency.quantile(0.5), c.latency.quantile(0.99)
        if p50 is not None and p99 is not None:
            line += f"; from timestamp to handler p50 {p50:g} ms, p99 {p99:g} ms at most"
        return [f"total from {self._listening.pattern.label}: {line}"]

    def _work(self, batch: Batch) -> None:
        started = time.perf_counter()
        turns = self._turns
        try:
            self._handle(batch)
        except TownpostError:
            # the printer could not print: it answers all of a batch or nothing
            batch.rewind()
            self._listening.settle(batch)
            self._log.warning("%d messages in hand are given back, if the pattern can do that", len(batch.left))
            raise
        self._prefetch.worked(self._turns - turns, time.perf_counter() - started)
        try:
            self._listening.settle(batch)
        except TownpostError as error:
            if not self._listening.pattern.guarantees.redelivers:
                # nobody else will ever see these again
                self._log.warning(
                    "%s; handling the %d messages in hand instead of giving them back", error, len(batch.left)
                )
                self._handle(batch, to_the_end=True)

    def _handle(self, batch: Batch, *, to_the_end: bool = False) -> None:
        self._handler(self._readable(batch, to_the_end=to_the_end), self._counts.received, self._answer)

    def _readable(self, batch: Batch, *, to_the_end: bool) -> Iterator[tuple[Delivery, Message]]:
        """What the handler gets to see, until a stop says that the rest is not to be begun."""
        patience = None if to_the_end else 0.0 if self._listening.unhandled_return else _LAST_BATCH_SECONDS
        deadline: float | None = None
        first = True
        counts, seen, watch = self._counts, self._seen, self._watch
        stopped = self._stop.is_set
        for delivery in batch:
            message = delivery.message
            if message is None:
                self._unreadable(delivery)
            else:
                if first:
                    first = False
                    counts.latency.add(time.time() - message.timestamp.timestamp())
                counts.received += 1
                if seen is not None and seen.again(message.id):
                    counts.duplicates += 1
                    self._log.warning("duplicate id %s from %s: handled again", message.id, message.sender)
                if watch is not None and (gap := watch.hear(message)):
                    self._tell(gap)
                yield delivery, message
            if stopped() and patience is not None:
                now = time.monotonic()
                deadline = deadline or now + patience
                if now >= deadline:
                    break
        if not self._listening.unhandled_return and batch.left:
            self._counts.dropped += len(batch.left)
            self._log.warning("stopped with %d received messages unhandled; they are lost", len(batch.left))

    def _tell(self, gap: Gap) -> None:
        if gap.certain:
            self._counts.missed += gap.size
            self._log.warning("gap: never heard %s (%d missed)", gap, gap.size)
        else:
            self._log.warning("possible gap: %s not heard, but without an epoch nobody can tell", gap)

    def _answer(self, delivery: Delivery, error: Exception | None) -> None:
        self._turns += 1
        if error is None:
            if self._redelivers:
                delivery.ack()
            self._counts.handled += 1
            return
        delivery.fail(error)
        self._counts.failed += 1
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

    def _unreadable(self, delivery: Delivery) -> None:
        self._counts.unreadable += 1
        self._log.warning("unreadable message (%s): %s", delivery.problem, excerpt(delivery.raw))
        if delivery.problem is not None:
            delivery.fail(delivery.problem)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
