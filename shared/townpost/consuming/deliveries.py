"""What `listen` has handed out on a pattern that redelivers, until each delivery is answered, by whatever thread."""

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
from townpost.patterns.leased import LeasedBatch
from townpost.text import told

__all__ = ["InFlight", "UnansweredError"]

_SWEEP_SECONDS = 0.1
_END_SECONDS = 0.8
"""How long an end waits for the answers of other threads."""
_GLANCE_SECONDS = 0.005


def _references() -> int:
    """To what only a list and a loop over it have, as the call that counts them sees it: 3; 2 from Python 3.14 on."""
    for one in [object()]:
        return sys.getrefcount(one)
    return 0  # pragma: no cover - the loop returns


_OURS = _references()
"""References to a delivery that nobody else has."""


class UnansweredError(Exception):
    """A delivery got neither `ack` nor `fail`."""


class _Held(Delivery):
    """One that any thread may answer; the first answer counts."""

    __slots__ = ("since",)
    _batch: LeasedBatch
    since: float
    """Since when it is known to be without an answer."""

    @property
    def batch(self) -> LeasedBatch:
        return self._batch

    @property
    def answered(self) -> bool:
        return self._batch.answers[self.index] == 1

    def ack(self) -> None:
        self._batch.answers[self.index] = 1  # one step of the interpreter: no lock is needed, nor a call

    def abandon(self) -> None:
        """Whatever answer comes now comes too late, and changes nothing."""
        self._batch = copy.copy(self._batch)
        self._batch.answers = bytearray(b"\x01" * len(self._batch))


class InFlight:
    """For the one thread that listens; only the deliveries themselves are for any thread."""

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
            most: how many may be without an answer before the next one is handed out.
        """
        self._log = logging.getLogger(f"townpost.{pattern}")
        self._settle = settle
        self._stop = stop
        self._handler_timeout = handler_timeout
        self._most = most
        self._batches: list[LeasedBatch] = []
        """Not settled, in the order they were taken."""
        self._held: list[_Held] = []
        """Handed out, and not answered when the next was asked for."""
        self._running: LeasedBatch | None = None
        """Being handed out."""
        self._swept = 0.0

    def deliveries(self, batch: LeasedBatch) -> Iterator[Delivery]:
        """One after the other, until a stop; those that are not reached stay in the batch."""
        self._batches.append(batch)
        self._running = batch
        stopped, answers = self._stop.is_set, batch.answers
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
                if not answers[index]:
                    self._hold(delivery)
                if stopped():
                    if not delivery.answered and sys.getrefcount(delivery) <= _OURS + 1:  # the caller's loop has it
                        delivery.fail(UnansweredError("neither ack nor fail was called"))
                    return
        finally:
            self._running = None

    def sweep(self) -> None:
        """Fail what was dropped without an answer, or has had none for too long; settle what is complete."""
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
            waited_for.add(id(self._running))  # the rest of it is still to be handed out
        for batch in self._batches:
            if id(batch) not in waited_for:
                for _, error in batch.failed:
                    self._log.warning("a message failed with %s: %s", type(error).__name__, told(error))
                self._settle(batch)
        self._batches = [batch for batch in self._batches if id(batch) in waited_for]

    def close(self) -> None:
        """Give other threads a moment to answer; then what has no answer goes back."""
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
        """The loop was left with this one in its body, by an exception for all we know."""
        until = time.monotonic() + _END_SECONDS
        while self._held and not delivery.answered and time.monotonic() < until:
            time.sleep(_GLANCE_SECONDS)  # others are in the hands of other threads, so this one may be
            self.sweep()
        delivery.fail(UnansweredError("the loop was left before ack or fail was called"))
