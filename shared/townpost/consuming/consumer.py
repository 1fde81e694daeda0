"""One pattern's thread: takes batches, hands their messages to the handler, keeps the counts."""

import contextlib
import logging
import math
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from townpost.consuming.deduplicator import Deduplicator
from townpost.consuming.gaps import Gap, GapWatch
from townpost.consuming.handlers import Handler
from townpost.consuming.listening import Listening
from townpost.counts import Counts
from townpost.errors import TownpostError, UnreadableError
from townpost.message import Message, read
from townpost.patterns.ack_pipeline import AcknowledgesApart
from townpost.patterns.contract import Batch
from townpost.prefetch import Prefetch
from townpost.redis.connection import Connection
from townpost.settings import Settings
from townpost.text import excerpt, told

__all__ = ["Consumer"]

_LAST_BATCH_SECONDS = 0.5
"""How long after a stop messages that cannot be given back are still handled."""


class Consumer:
    """Implements `townpost.heartbeat.Loop`."""

    def __init__(self, name: str, settings: Settings, handler: Handler, stop: threading.Event) -> None:
        self.name = name
        self._counts = Counts()
        self._progress = (0, 0, Batch(name, []))
        """How many were begun, and how many done, before this batch. Swapped as one: others read it."""
        self._takes = 0
        self._turned = (0, time.monotonic())
        self._listening = Listening(name, settings, stop, self._counts)
        self._handler = handler
        self._stop = stop
        self._prefetch = Prefetch(settings.prefetch)
        self._log = logging.getLogger(f"townpost.{name}")
        self._watch = GapWatch() if self._hears_everything() else None
        # where messages come again by design, a known id says nothing
        self._redelivers = self._listening.pattern.guarantees.redelivers
        self._seen = None if self._redelivers else Deduplicator()
        self._known_failures: set[str] = set()

    def tell_attempts(self) -> None:
        """Batches are to know how often their messages were tried."""
        if isinstance(self._listening.listener, AcknowledgesApart):
            self._listening.listener.tells_attempts = True

    def _hears_everything(self) -> bool:
        guarantees = self._listening.pattern.guarantees
        return guarantees.fan_out and not guarantees.redelivers

    @property
    def turned(self) -> float:
        """As far as whoever asks from time to time can know: no clock is read for each message."""
        begun, done, batch = self._progress
        turns = self._takes + begun + batch.position + done + batch.done
        if self._turned[0] != turns:
            self._turned = (turns, time.monotonic())
        return self._turned[1]

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Up to the message in hand, though nothing is counted for each message."""
        begun, done, batch = self._progress
        c = self._counts
        skipped = _skipped(batch)
        c.received = begun + batch.position - skipped - c.unreadable
        c.handled = max(0, done + batch.done - skipped - c.unreadable - c.failed)
        return {self.name: c}

    @property
    def holds(self) -> bool:
        """Whether it has begun what is not answered."""
        _, _, batch = self._progress
        return batch.position > batch.done

    @property
    def abandonable(self) -> bool:
        return self._listening.reconnector.connecting

    def run(self) -> None:
        try:
            while (batch := self._listening.take(self._prefetch.limit)) is not None:
                self._takes += 1
                self._counts.reconnects = self._listening.reconnector.outages
                if len(batch):
                    self._counts.recent.see(batch.payloads[0])
                    self._work(batch)
        finally:
            self._listening.close()

    def interrupt(self, control: Connection) -> None:
        self._listening.interrupt(control)

    def totals(self) -> list[str]:
        if not self._listening.reconnector.worked:
            return []
        c = self.counts[self.name]
        others = {"duplicates": c.duplicates}
        if self._watch is not None:
            others |= {"missed": c.missed, "dropped at the stop": c.dropped}
        line = c.in_words(others, redelivers=self._redelivers)
        p50, p99 = c.latency.quantile(0.5), c.latency.quantile(0.99)
        if p50 is not None and p99 is not None:
            line += f"; from timestamp to handler p50 {p50:g} ms, p99 {p99:g} ms at most"
        return [f"total from {self._listening.pattern.label}: {line}"]

    def _work(self, batch: Batch) -> None:
        started = time.perf_counter()
        begun, done, last = self._progress
        self._progress = (begun + last.position - _skipped(last), done + last.done - _skipped(last), batch)
        try:
            self._handle(batch)
        except TownpostError:
            # the printer could not print: it prints all of a batch or nothing
            batch.rewind()
            self._listening.settle(batch)
            self._log.warning("%d messages in hand are given back, if the pattern can do that", len(batch.left))
            raise
        self._prefetch.worked(batch.done, time.perf_counter() - started)
        try:
            self._listening.settle(batch)
        except TownpostError as error:
            if not self._listening.pattern.guarantees.redelivers:
                # nobody else will ever see these again
                self._log.warning(
                    "%s; handling the %d messages in hand instead of giving them back", error, len(batch.left)
                )
                batch.until = math.inf
                self._handle(batch, to_the_end=True)

    def _handle(self, batch: Batch, *, to_the_end: bool = False) -> None:
        ids: list[int] = []
        first = batch.position
        already = self.counts[self.name].received
        failed = partial(self._failed, batch)
        self._handler(batch, self._readable(batch, ids, to_the_end=to_the_end), already, failed)
        batch.done = batch.position
        if self._seen is not None and (places := self._seen.again(ids)):
            self._tell_duplicates(batch, first, [ids[place] for place in places])

    def _readable(self, batch: Batch, ids: list[int], *, to_the_end: bool) -> Iterator[tuple[int, Message]]:
        """What the handler gets to see, until a stop says that the rest is not to be begun.

        Millions pass here: what can be done once a batch is not done in this loop.
        """
        patience = _Patience(None if to_the_end else 0 if self._listening.can_requeue else _LAST_BATCH_SECONDS)
        whole, watch, stopped, now = self._handler.whole, self._watch, self._stop.is_set, time.monotonic
        while batch.position < len(batch):
            first, some = batch.position, batch.some()
            expected = watch is not None and watch.expects(some)
            hear = None if watch is None or expected else watch.hear
            self._remember(some, ids, new=expected)
            if not first and type(message := some[0]) is Message:
                self._counts.latency.add(time.time() - message.timestamp.timestamp())  # of one in a batch
            for index, message in enumerate(some, first):
                batch.position = index + 1  # before the question: whoever sets `until` reads it afterwards
                if now() > batch.until and not batch.may_begin(index):
                    batch.position = index
                    self._forget(some[index - first :], ids)
                    return
                if type(message) is Message:
                    if hear is not None and (gap := hear(message)):
                        self._tell(gap)
                    yield index, message
                elif isinstance(message, UnreadableError):
                    self._unreadable(batch, index, message)
                if not whole:
                    batch.done = index + 1
                if stopped() and patience.is_over():
                    self._drop(batch)
                    return

    def _drop(self, batch: Batch) -> None:
        """What is left at a stop, where it cannot be given back."""
        if not self._listening.can_requeue and batch.left:
            self._counts.dropped += len(batch.left)
            self._log.warning("stopped with %d received messages unhandled; they are lost", len(batch.left))

    def _remember(self, some: Sequence[object], ids: list[int], *, new: bool) -> None:
        """Their ids: what bears the number that was to come next needs no comparing."""
        if self._seen is None:
            return
        numbers = [message.id.int for message in some if type(message) is Message]
        if new:
            self._seen.note(numbers)
        else:
            ids += numbers

    def _forget(self, some: Sequence[object], ids: list[int]) -> None:
        """These go back and may come again, which will be no duplicate."""
        if self._seen is not None:
            del ids[len(ids) - sum(type(message) is Message for message in some) :]

    def _tell_duplicates(self, batch: Batch, first: int, known: Sequence[int]) -> None:
        wanted = Counter(known)
        for payload in reversed(batch.payloads[first : batch.position]):
            with contextlib.suppress(UnreadableError):
                message = read(payload, batch.max_bytes)
                if wanted[message.id.int] > 0:
                    wanted[message.id.int] -= 1
                    self._counts.duplicates += 1
                    self._log.warning("duplicate id %s from %s: handled again", message.id, message.sender)

    def _tell(self, gap: Gap) -> None:
        if gap.certain:
            self._counts.missed += gap.size
            self._log.warning("gap: never heard %s (%d missed)", gap, gap.size)
        else:
            self._log.warning("possible gap: %s not heard, but without an epoch nobody can tell", gap)

    def _failed(self, batch: Batch, index: int, error: Exception) -> None:
        batch.answered(index, error)
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


class _Patience:
    """Begins with the first question."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._deadline: float | None = None

    def is_over(self) -> bool:
        """Never, if it is None."""
        if self._seconds is None:
            return False
        now = time.monotonic()
        self._deadline = self._deadline or now + self._seconds
        return now >= self._deadline


def _skipped(batch: Batch) -> int:
    """How many were passed over without being handed out."""
    return sum(index < batch.position for index in batch.closed)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
