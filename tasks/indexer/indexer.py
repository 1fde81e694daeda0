"""Takes events in batches and applies them to the index; they are acknowledged only when it has accepted them."""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence

from opentelemetry.trace import SpanKind

from tasks import tracing
from tasks.events import Event
from tasks.index.contract import Index
from tasks.indexer.api import Api
from tasks.indexer.healing import Healing
from tasks.indexer.router import Router
from tasks.indexer.writing import Writing
from tasks.settings import TasksSettings
from townpost import Batch, Connection, Counts, Delivery, Listening, Message, Prefetch, UnreadableError, excerpt

__all__ = ["Indexer"]

_HELD_SECONDS = 60.0
"""How long a batch waits in flight for the index, before it is given back and taken again under a new lease."""


class Indexer:
    """Implements `townpost.heartbeat.Loop`."""

    name = "indexer"

    def __init__(self, settings: TasksSettings, index: Index, stop: threading.Event) -> None:
        self._counts = Counts()
        self.counts = {settings.pattern: self._counts}
        self.turned = time.monotonic()
        self._stop = stop
        self._prefetch = Prefetch(settings.prefetch)
        self._listening = Listening(settings.pattern, settings, stop, self._counts)
        self._router = Router(settings.tasks_prefix)
        self._writing = Writing(index, stop, self._turn)
        guarantees = self._listening.pattern.guarantees
        self._held_seconds = min(_HELD_SECONDS, settings.handler_timeout / 2) if guarantees.redelivers else 0.0
        self._api = Api(settings.api_url)
        self._healing = Healing(
            self._api,
            self._writing,
            stop,
            check_seconds=settings.check_seconds,
            forgetful=not guarantees.durable,
        )
        self._log = logging.getLogger("townpost.indexer")

    @property
    def abandonable(self) -> bool:
        return self._listening.reconnector.connecting or self._healing.asking

    def run(self) -> None:
        self._healing.want("at the start")
        try:
            while (batch := self._listening.take(self._prefetch.limit)) is not None:
                self._turn()
                self._note_outage()
                if len(batch):
                    started = time.perf_counter()
                    self._work(batch)
                    self._prefetch.worked(len(batch), time.perf_counter() - started)
                    self._listening.settle_if_possible(batch)
                self._healing.turn()
                self._counts.missed = self._healing.missed
        finally:
            self._listening.close()
            self._writing.close()
            self._api.close()

    def interrupt(self, control: Connection) -> None:
        self._listening.listener.interrupt(control)

    def totals(self) -> list[str]:
        c = self._counts
        line = f"total: {c.received:,} events, {c.handled:,} saved ({c.duplicates:,} known before), "
        line += f"{self._healing.healed:,} tasks healed, {c.unreadable:,} unreadable"
        p50, p99 = c.latency.quantile(0.5), c.latency.quantile(0.99)
        if p50 is not None and p99 is not None:
            line += f"; from the change to the index p50 {p50:g} ms, p99 {p99:g} ms at most"
        return [line]

    def _turn(self) -> None:
        self.turned = time.monotonic()

    def _note_outage(self) -> None:
        outages = self._listening.reconnector.outages
        if outages != self._counts.reconnects:
            self._counts.reconnects = outages
            self._healing.want("the connection to Redis was lost")

    def _work(self, batch: Batch) -> None:
        readable: list[tuple[Delivery, Message, Event]] = []
        for delivery in batch:
            try:
                event = self._router.event(delivery)
            except UnreadableError as error:
                self._unreadable(delivery, error)
            else:
                assert delivery.message is not None  # noqa: S101 - the router has read it
                readable.append((delivery, delivery.message, event))
        self._counts.received += len(readable)
        if readable and self._saved([(message, event) for _, message, event in readable]):
            for delivery, _, _ in readable:
                delivery.ack()

    def _unreadable(self, delivery: Delivery, error: UnreadableError) -> None:
        self._counts.unreadable += 1
        self._log.warning("not indexed (%s): %s", error, excerpt(delivery.raw))
        delivery.fail(error)

    def _saved(self, events: Sequence[tuple[Message, Event]]) -> bool:
        """Whether the index accepted them; if not, they come again, or are healed where nothing comes again."""
        changes = [event for _, event in events]
        if not self._held_seconds and self._writing.resting:
            self._healing.want("the index was away")
            return False
        fresh = self._writing.run(lambda: self._apply(events, changes), self._held_seconds)
        if fresh is None:
            self._healing.want("the index was away")
            return False
        self._counts.handled += len(changes)
        self._counts.duplicates += len(changes) - fresh
        self._counts.latency.add(time.time() - events[0][0].timestamp.timestamp())
        known = f"; {len(changes) - fresh} known before" if fresh != len(changes) else ""
        self._log.info("saved %d: %s%s", fresh, _numbers(changes), known)
        if self._writing.progress.gap:
            self._healing.want(f"{_numbers(changes)} came after change {self._writing.progress.cursor}")
        else:
            self._healing.in_step()
        return True

    def _apply(self, events: Sequence[tuple[Message, Event]], changes: Sequence[Event]) -> int:
        with contextlib.ExitStack() as spans:
            if tracing.recording():
                for message, _ in events:
                    spans.enter_context(tracing.span("index task", SpanKind.CONSUMER, message.traceparent))
            fresh = self._writing.index.apply(changes)
        progress = self._writing.progress
        before = progress.cursor
        progress.saved(change.change for change in changes)
        if progress.cursor != before:
            self._writing.index.move(progress.cursor)
        return fresh


def _numbers(changes: Sequence[Event]) -> str:
    numbers = [change.change for change in changes]
    first, last = min(numbers), max(numbers)
    return f"change {first}" if first == last else f"changes {first} to {last}"
