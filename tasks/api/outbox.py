"""The outbox: events that were committed with their change, on their way to Redis.

They are deleted only after Redis acknowledged them, so each is sent at least once, in the order of the changes. On
PostgreSQL one instance at a time sends; on SQLite two could, and an event may then come twice or late, which the
versions make harmless. A killed instance leaves its events to its successor.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.trace import SpanKind
from sqlalchemy import Engine, bindparam, delete, func, select, text

from tasks import tracing
from tasks.api.database import DatabaseUnavailableError, for_writing, reached
from tasks.api.tables import OUTBOX
from tasks.events import kind_of
from tasks.settings import TasksSettings
from townpost import (
    Connection,
    Counts,
    Message,
    Publisher,
    Reconnector,
    RefusedError,
    UnavailableError,
    endpoint,
    read_message,
)

__all__ = ["Outbox", "Waiting"]

_BATCH = 200
_POLL_SECONDS = 2.0
"""How often to look without being woken: for what another instance left."""
_WARN_SECONDS = 10.0
_LOCK = 7_827_837_002
_SERVED_SECONDS = 10.0

_OLDEST = select(OUTBOX.c.message).order_by(OUTBOX.c.change).limit(_BATCH)
_FORGET = delete(OUTBOX).where(OUTBOX.c.change <= bindparam("upto"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is in the outbox."""

    count: int
    oldest_seconds: float


class Outbox:
    """Implements `townpost.heartbeat.Loop`."""

    name = "outbox"
    abandonable = False

    def __init__(self, engine: Engine, settings: TasksSettings, stop: threading.Event) -> None:
        self.turned = time.monotonic()
        self.counts = {settings.pattern: Counts()}
        self.served = threading.Event()
        """Set it when no more requests are handled: a stop sends what they left before it ends."""
        self._engine = engine
        self._settings = settings
        self._stop = stop
        self._wake = threading.Event()
        self._publisher = Publisher(settings=settings, report=False)
        self._session = Reconnector(
            self.name,
            self._publisher.open,
            stop,
            connect_timeout=float("inf"),  # requests do not need Redis, so the service does not end for want of it
            where=f"{endpoint(settings.url)}, sending on {settings.via}",
            lost=lambda: "events waited in the database; one on its way may be sent twice",
        )
        self._log = logging.getLogger("townpost.outbox")
        self._said = ""
        self._warned_at = -_WARN_SECONDS

    def wake(self) -> None:
        """Something was committed. From any thread, at next to no cost."""
        self._wake.set()

    def waiting(self) -> Waiting:
        """Raises DatabaseUnavailableError."""
        with reached(), self._engine.begin() as connection:
            count, oldest = connection.execute(select(func.count(), func.min(OUTBOX.c.created_at))).one()
        age = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
        return Waiting(count, max(age, 0.0))

    def run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            self.turned = time.monotonic()
            sent = self._session.run(self._send_some)
            if sent is not None and sent < _BATCH:
                self._wake.wait(_POLL_SECONDS)
        self.served.wait(_SERVED_SECONDS)
        with contextlib.suppress(UnavailableError, RefusedError):
            while self._send_some() == _BATCH:
                pass
        self._publisher.close()

    def interrupt(self, control: Connection) -> None:
        pass

    def totals(self) -> list[str]:
        counts = self.counts[self._settings.pattern]
        lines = [f"total: {counts.sent:,} events acknowledged by Redis"]
        with contextlib.suppress(DatabaseUnavailableError):
            if left := self.waiting().count:
                lines.append(f"{left:,} events stay in the database; the next start sends them")
        return lines

    def _send_some(self) -> int:
        """How many were sent; fewer than a batch: there are no more for now."""
        try:
            with reached(), self._alone():
                messages = self._oldest()
                if messages:
                    self._send(messages)
                    with for_writing(self._engine).begin() as connection:
                        connection.execute(_FORGET, {"upto": messages[-1].count})
        except DatabaseUnavailableError as error:
            if str(error) != self._said:
                self._said = str(error)
                self._log.error("%s; events wait until it does", error)
            return 0
        if self._said:
            self._said = ""
            self._log.warning("the database answers again")
        return len(messages)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """On PostgreSQL the others wait until this batch is sent, so that the order stays."""
        if self._engine.dialect.name != "postgresql":
            yield  # SQLite knows one writer: what waits for Redis must not be it
            return
        with self._engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield

    def _oldest(self) -> Sequence[Message]:
        with self._engine.begin() as connection:
            payloads = connection.execute(_OLDEST).scalars().all()
        return [read_message(payload.encode(), self._settings.max_message_bytes) for payload in payloads]

    def _send(self, messages: Sequence[Message]) -> None:
        with contextlib.ExitStack() as spans:
            if tracing.recording():
                for message in messages:
                    name = f"publish tasks.event.{kind_of(message)}"
                    spans.enter_context(tracing.span(name, SpanKind.PRODUCER, message.traceparent))
            [receipt] = self._publisher.send(messages)
        counts = self.counts[receipt.pattern]
        counts.sent += receipt.sent
        counts.unheard += receipt.unheard
        first, last = messages[0].count, messages[-1].count
        which = f"event #{first}" if first == last else f"events #{first} to #{last}"
        self._log.info("sent %s to %s", which, receipt.said)
        if receipt.warning and time.monotonic() - self._warned_at >= _WARN_SECONDS:
            self._warned_at = time.monotonic()
            self._log.warning("%s", receipt.warning)
