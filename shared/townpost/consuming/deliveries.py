"""The deliveries that `listen` has yielded on a pattern that redelivers, until any thread has answered them."""

import copy
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

from townpost.errors import UnreadableError
from townpost.message import Message
from townpost.patterns.contract import Delivery
from townpost.patterns.leased import ACKED, OPEN, LeasedBatch
from townpost.text import told

__all__ = ["InFlight", "UnansweredError"]

_SWEEP_SECONDS = 0.1
_END_SECONDS = 0.8
"""How long the end of the loop waits for the answers of other threads."""
_GLANCE_SECONDS = 0.005


def _references() -> int:
    """To what only a list and a loop over it have, as the call that counts them sees it: 3; 2 from Python 3.14 on."""
    for one in [object()]:
        return sys.getrefcount(one)
    return 0  # pragma: no cover - the loop returns


_OURS = _references()
"""References to a delivery that only this list and the loop over it have."""


class UnansweredError(Exception):
    """A delivery got neither `ack` nor `fail`."""


class _Held(Delivery):
    """A delivery that any thread may answer; the first answer counts."""

    __slots__ = ("since",)
    _batch: LeasedBatch
    since: float
    """When it was first found without an answer."""

    @property
    def batch(self) -> LeasedBatch:
        return self._batch

    @property
    def answered(self) -> bool:
        return self._batch.status[self.index] != OPEN

    def ack(self) -> None:
        if self._batch.status[self.index] == OPEN:
            self._batch.status[self.index] = ACKED  # this is one step of the interpreter, so it needs no lock

    def abandon(self) -> None:
        """Ignore every answer from now on: it comes too late."""
        self._batch = copy.copy(self._batch)
        self._batch.status = bytearray([ACKED]) * len(self._batch)


class InFlight:
    """Used by the thread that listens. Other threads may use the deliveries only."""

    def __init__(
        self,
        pattern: str,
        settle: Callable[[LeasedBatch], None],
        stop: threading.Event,
        *,
        handler_timeout: float,
        most: int,
    ) -> None:
        """Nothing is in flight.

        Args:
            pattern: for the log.
            settle: called with each batch once all of its deliveries are answered.
            stop: ends every wait.
            handler_timeout: seconds after which a delivery without an answer has failed.
            most: how many may be unanswered when the next one is yielded.
        """
        self._log = logging.getLogger(f"townpost.{pattern}")
        self._settle = settle
        self._stop = stop
        self._handler_timeout = handler_timeout
        self._most = most
        self._batches: list[LeasedBatch] = []
        """Batches that are not settled, in the order in which they were taken."""
        self._held: list[_Held] = []
        """Deliveries that were not answered when the next one was requested."""
        self._running: LeasedBatch | None = None
        """The batch whose messages are yielded now."""
        self._swept = 0.0

    def deliveries(self, batch: LeasedBatch) -> Iterator[Delivery]:
        """Yield one delivery after the other, until a stop. The others stay in the batch."""
        self._batches.append(batch)
        self._running = batch
        stopped, status = self._stop.is_set, batch.status
        try:
            for index, content in batch.reading():
                if type(content) is Message:
                    delivery = _Held(batch, index, content)
                else:
                    delivery = _Held(batch, index, None, cast("UnreadableError", content))
                try:
                    yield delivery
                except GeneratorExit:
                    self._left(delivery)
                    raise
                if status[index] == OPEN:
                    self._hold(delivery)
                if stopped():
                    if not delivery.answered and sys.getrefcount(delivery) <= _OURS + 1:  # the caller's loop has it
                        delivery.fail(UnansweredError("neither ack nor fail was called"))
                    return
        finally:
            self._running = None

    def sweep(self) -> None:
        """Fail deliveries that were dropped or are unanswered for too long; settle complete batches."""
        now = time.monotonic()
        self._swept = now
        held: list[_Held] = []
        for delivery in self._held:
            if sys.getrefcount(delivery) <= _OURS:
                delivery.fail(UnansweredError("neither ack nor fail was called"))
            elif now - delivery.since > self._handler_timeout:
                delivery.fail(UnansweredError(f"no answer for HANDLER_TIMEOUT={self._handler_timeout:g} s"))
            if not delivery.answered:
                held.append(delivery)
        self._held = held
        waited_for = {id(delivery.batch) for delivery in held}
        if self._running is not None:
            waited_for.add(id(self._running))  # the rest of this batch is not yielded yet
        for batch in self._batches:
            if id(batch) not in waited_for:
                for error, _ in batch.failures.values():
                    self._log.warning("a message failed with %s: %s", type(error).__name__, told(error))
                self._settle(batch)
        self._batches = [batch for batch in self._batches if id(batch) in waited_for]

    def close(self) -> None:
        """Wait a moment for the answers of other threads; then unanswered deliveries go back."""
        until = time.monotonic() + _END_SECONDS
        self.sweep()
        while self._held and time.monotonic() < until:
            time.sleep(_GLANCE_SECONDS)
            self.sweep()
        for delivery in self._held:
            delivery.abandon()
        self._held = []
        self.sweep()

    def _hold(self, delivery: _Held) -> None:
        delivery.since = time.monotonic()
        self._held.append(delivery)
        if delivery.since - self._swept > _SWEEP_SECONDS:
            self.sweep()
        while len(self._held) >= self._most and not self._stop.is_set():
            time.sleep(_GLANCE_SECONDS)
            self.sweep()

    def _left(self, delivery: _Held) -> None:
        """Fail the delivery in the loop's body: the loop was left, maybe by an exception."""
        until = time.monotonic() + _END_SECONDS
        while self._held and not delivery.answered and time.monotonic() < until:
            time.sleep(_GLANCE_SECONDS)  # other threads have other deliveries, so they may have this one
            self.sweep()
        delivery.fail(UnansweredError("the loop was left before ack or fail was called"))
