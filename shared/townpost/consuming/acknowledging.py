"""The thread that sends the answers of one subscription to Redis, on a connection of its own.

A batch is settled when all of it is answered. A batch that takes longer is settled in parts: after 100 ms the answered
messages leave the batch, and the unstarted ones go back for others to take. So after a crash only what was begun and
not answered is delivered again, and at most 100 ms of answered work.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from townpost.consuming.backlog import Backlog
from townpost.consuming.flights import Flight
from townpost.patterns.ack_pipeline import AckPipeline
from townpost.redis.connection import Connection
from townpost.redis.reconnector import Reconnector

__all__ = ["Acknowledging"]

_LOOK_SECONDS = 0.05
_PART_SECONDS = 0.1
_MOST_FAILURES = 16
"""Failures in one part: each may make a whole message a dead letter."""
_LAST_SECONDS = 2.0
"""How long `close` waits for Redis."""


class Acknowledging:
    """One thread. `close` ends it when everything that can be settled is."""

    def __init__(
        self,
        backlog: Backlog,
        connection: Connection,
        pipeline: AckPipeline[Any],
        open_: Callable[[], None],
        *,
        name: str,
        connect_timeout: float,
        where: str,
        failed: Callable[[], None],
    ) -> None:
        """Nothing runs before `start`.

        Args:
            backlog: has the answered messages.
            connection: its own.
            pipeline: on that connection.
            open_: connects it.
            name: of the pattern, for the log.
            connect_timeout: seconds the first connection may take.
            where: for the log.
            failed: called if it cannot go on.
        """
        self._backlog = backlog
        self._connection = connection
        self._pipeline = pipeline
        self._failed = failed
        self._work = threading.Event()
        self._closing = threading.Event()
        self._gave_up = threading.Event()
        self._reconnector = Reconnector(
            f"{name}.ack", open_, self._gave_up, connect_timeout=connect_timeout, where=where, quiet=True
        )
        self._thread = threading.Thread(target=self._run, name=f"{name}-ack", daemon=True)
        self._log = logging.getLogger(f"townpost.{name}")
        backlog.changed = self._work.set

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Settle answered messages and give back unstarted ones; the leases of the rest expire."""
        self._closing.set()
        self._work.set()
        self._thread.join(_LAST_SECONDS)
        self._gave_up.set()
        self._thread.join(_LOOK_SECONDS)

    def _run(self) -> None:
        try:
            self._acknowledge()
        except Exception:  # noqa: BLE001 - without this thread nothing is acknowledged
            self._log.exception("acknowledging broke; this is a bug in Townpost")
            self._failed()
        self._connection.close()

    def _acknowledge(self) -> None:
        while True:
            self._work.wait(_LOOK_SECONDS if self._backlog.flights else None)
            closing = self._closing.is_set()
            self._work.clear()
            self._collect(closing=closing)
            settled = bool(self._pipeline.unconfirmed)
            if settled and self._reconnector.run(self._settle) is None:
                break
            if closing and not settled:
                break
        if self._pipeline.unconfirmed:
            self._log.warning("what was handled last could not be acknowledged, it will come again")

    def _settle(self) -> bool:
        while self._pipeline.unconfirmed:
            self._pipeline.exchange([])
        return True

    def _collect(self, *, closing: bool) -> None:
        now = time.monotonic()
        completed = self._backlog.completed
        while completed:
            flight = completed.popleft()
            self._backlog.settled(flight)
            batch = flight.leased
            if batch is not None and len(batch.settled) == len(batch):
                self._pipeline.release(batch)  # its parts have settled all of it
            else:
                self._pipeline.unconfirmed.append(flight.batch)
        for flight in list(self._backlog.flights):
            if closing or now - flight.since > _PART_SECONDS:
                self._part(flight)

    def _part(self, flight: Flight) -> None:
        batch = flight.leased
        if batch is None or batch.parting:
            return
        self._backlog.cut(flight)
        if batch.lost:
            return
        returned, flight.left = flight.left, ()
        part = batch.part(returned, _MOST_FAILURES)
        if part is not None:
            self._pipeline.unconfirmed.append(part)
