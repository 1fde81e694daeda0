"""The messages of one subscription that were taken and not begun; its workers take from it.

The messages of a batch are begun in order; answers come in any order.

It takes no lock for a message: a lock that twenty threads want for each message costs a thread switch each time.
Each step for one message is either one step of the interpreter, or belongs to one worker.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import TypeAlias, cast

from townpost.consuming.demand import Demand
from townpost.consuming.flights import Flight, Slot, Work
from townpost.counts import Counts
from townpost.errors import UnreadableError
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.patterns.leased import ACKED, OPEN
from townpost.verdicts import Policy

__all__ = ["Backlog", "Sift"]

Sift: TypeAlias = Callable[
    [Batch, Sequence[int], Sequence[Message], Callable[[int, Exception], object]],
    tuple[tuple[int, ...], tuple[Message, ...]],
]

_ALL_READABLE = frozenset((Message,))


class Backlog:
    """Shared by the thread that takes, the workers, and the thread that acknowledges."""

    def __init__(
        self,
        counts: Counts,
        stop: threading.Event,
        *,
        concurrency: int,
        whole: bool,
        sift: Sift,
        ahead: bool,
        unreadable: Callable[[Batch, int, UnreadableError], None],
        hear: Callable[[Message], None] | None,
        settles: bool,
    ) -> None:
        """Nothing is in flight.

        Args:
            counts: of this subscription.
            stop: once it is set, no message is begun.
            concurrency: how many messages may be handled at once.
            whole: a worker gets all of a batch at once.
            sift: returns the messages that a handler of lists accepts; the rest has failed.
            ahead: more may be taken than there are free workers, about 50 ms of work. The pattern must be able to give
                back unstarted messages.
            unreadable: called with messages that cannot be read.
            hear: called with each message before it is begun, in order.
            settles: batches are acknowledged when they are answered.
        """
        self._counts = counts
        self._stopped = stop.is_set
        self._whole = whole
        self._sift = sift
        self._unreadable = unreadable
        self._hear = hear
        self._settles = settles
        self._lock = threading.Lock()
        """Taken once for each chunk or batch."""
        self._refilling = threading.Lock()
        self._ready: deque[Work] = deque()
        self._waiting: deque[Flight] = deque()
        """Flights of which some messages are not ready yet."""
        self._remaining = 0
        """How many messages these flights have."""
        self._own = Slot()
        self._slots: list[Slot] = [self._own]
        self._demand = Demand(self._slots, concurrency=concurrency, whole=whole, ahead=ahead)
        self.flights: set[Flight] = set()
        """Flights that are not settled."""
        self.completed: deque[Flight] = deque()
        """Flights that are answered, and wait for their settlement."""
        self.changed: Callable[[], None] = lambda: None
        """Called when there is a new flight, or one is complete."""

    def slot(self) -> Slot:
        """The slot of a new worker."""
        one = Slot()
        with self._lock:
            self._slots.append(one)
        return one

    @property
    def running(self) -> int:
        """How many pieces of work the workers have."""
        return self._demand.running

    def count(self) -> None:
        """Update the counts."""
        slots = list(self._slots)
        self._counts.received = sum(slot.received for slot in slots)
        self._counts.handled = sum(slot.handled for slot in slots)
        self._counts.failed = sum(slot.failed for slot in slots)

    @property
    def stopped(self) -> bool:
        """Nothing more is begun."""
        return self._stopped()

    @property
    def quick(self) -> bool:
        """See `Demand.quick`."""
        return self._demand.quick

    def wanted(self, stalled: Callable[[], object]) -> int:
        """Wait until there is room, then return how many messages to take; 0 after a stop. See `Demand.wait`."""
        return self._demand.wait(lambda: self.unbegun, self._stopped, stalled)

    @property
    def unbegun(self) -> int:
        """How much is not begun: messages, or batches if a worker gets whole batches."""
        return len(self._ready) + (len(self._waiting) if self._whole else self._remaining)

    def add(self, batch: Batch) -> int:
        """Add a batch. Returns how many messages it has."""
        flight = Flight(batch)
        flight.iterator = self._works(flight)
        with self._lock:
            self.flights.add(flight)
            self._waiting.append(flight)
            self._remaining += len(batch)
            first = len(self.flights) == 1
        if first:
            self.changed()
        return len(batch)

    def _works(self, flight: Flight) -> Iterator[Sequence[Work]]:
        """Yield the readable messages, a chunk at a time."""
        batch, leased = flight.batch, flight.leased
        indexes: list[int] = []
        messages: list[Message] = []
        while batch.position < len(batch) and not (leased is not None and leased.lost):
            first = batch.position
            positions, readable = self._readable(batch)
            if not first and readable:
                self._counts.latency.add(time.time() - readable[0].timestamp.timestamp())  # of one in a batch
            if self._whole:
                indexes += positions
                messages += readable
            else:
                # as Work(flight, (position,), (message,)) for each, without a call for each
                pieces = zip(repeat(flight), zip(positions), zip(readable))
                yield list(map(tuple.__new__, repeat(Work), pieces))
        if messages:
            taken, good = self._sift(batch, indexes, messages, batch.answered)
            self._own.failed += len(indexes) - len(taken)
            if good:
                yield [Work(flight, taken, good)]

    def _readable(self, batch: Batch) -> tuple[Sequence[int], Sequence[Message]]:
        """The positions and messages of the next chunk, without unreadable ones."""
        first, chunk = batch.position, batch.next_chunk()
        batch.position += len(chunk)
        if self._hear is None and _ALL_READABLE.issuperset(map(type, chunk)):
            return range(first, first + len(chunk)), cast("list[Message]", chunk)
        found: list[tuple[int, Message]] = []
        for index, message in enumerate(chunk, first):
            if type(message) is Message:
                found.append((index, message))
                if self._hear is not None:
                    self._hear(message)
            elif isinstance(message, UnreadableError):
                self._unreadable(batch, index, message)
        return [index for index, _ in found], [message for _, message in found]

    def next(self, slot: Slot) -> Work | None:
        """The next piece of work for a free worker; None if there is none."""
        monotonic, demand, ready = time.monotonic, self._demand, self._ready
        while not self._stopped():
            try:
                work = ready.popleft()
            except IndexError:
                if self._refill(slot):
                    continue
                if demand.waits:
                    demand.look(self.unbegun)
                return None
            batch = work.flight.leased
            if batch is not None and monotonic() > batch.until and not batch.may_begin(work.indexes[0]):
                self._withhold(work)
                continue
            slot.begun += 1
            slot.received += len(work.indexes)
            if demand.waits:
                demand.look(self.unbegun)
            return work
        return None

    def _withhold(self, work: Work) -> None:
        """End a flight whose lease has expired: others have its messages."""
        with self._lock:
            work.flight.begun -= 1
            self._look_complete(work.flight)

    def _refill(self, slot: Slot) -> bool:
        """Make more work ready; return whether some is. One worker does it at a time, and the others do not wait."""
        if not self._refilling.acquire(blocking=False):
            return bool(self._ready)
        try:
            made = 0
            with self._lock:
                while self._waiting and not self._ready and not made:
                    made = self._make_ready(self._waiting[0])
            slot.refilled = made > 0  # others may have begun all of it by now; more may wait behind it
            return slot.refilled or bool(self._ready)
        finally:
            self._refilling.release()

    def _make_ready(self, flight: Flight) -> int:
        """With the lock: its next chunk; how much work that is."""
        before = flight.batch.position
        chunk = next(flight.iterator, None)
        self._remaining -= flight.batch.position - before
        flight.begun += len(chunk or ())
        if chunk is None or flight.batch.position == len(flight.batch):  # it has no further messages
            self._waiting.popleft()
            self._end(flight, flight.batch.position)
        self._ready.extend(chunk or ())
        return len(chunk or ())

    def _end(self, flight: Flight, position: int) -> None:
        """With the lock: begin no more of this flight."""
        batch = flight.batch
        self._remaining -= len(batch) - batch.position
        batch.position = position
        flight.left = range(position, len(batch))
        flight.over = True
        self._look_complete(flight)

    def cut(self, flight: Flight) -> None:
        """Begin no more of this flight; its unstarted messages become `left`."""
        with self._lock:
            taken: list[Work] = []
            while self._ready:
                try:
                    taken.append(self._ready.pop())  # from the right: workers take from the left, so these are the last
                except IndexError:
                    break
            taken.reverse()
            mine = [work for work in taken if work.flight is flight]
            self._ready.extend(work for work in taken if work.flight is not flight)
            if flight.over and not mine:
                return
            flight.begun -= len(mine)
            first = min((work.indexes[0] for work in mine), default=flight.batch.position)
            if flight.over:
                flight.left = range(first, len(flight.batch))
                flight.batch.position = first
                self._look_complete(flight)
            else:
                self._waiting.remove(flight)
                self._end(flight, first)
        if flight.left:
            self._demand.overran()
        self._demand.wake()

    def ended(self, slot: Slot, work: Work, error: Exception | None = None, policy: Policy | None = None) -> None:
        """Called by the worker: the message was handled or has failed."""
        flight, indexes, _ = work
        if error is None:
            slot.handled += len(indexes)
            if flight.leased is not None:
                for index in indexes:
                    if flight.leased.status[index] == OPEN:  # else the handler has answered by itself
                        flight.leased.status[index] = ACKED
        else:
            slot.failed += len(indexes)
            for index in indexes:
                flight.batch.answered(index, error, policy)
        self._over(slot, flight)

    def released(self, slot: Slot, work: Work) -> None:
        """Called by the worker: there is no answer and no failure. The message goes back if its lease is still ours."""
        self._over(slot, work.flight)

    def _over(self, slot: Slot, flight: Flight) -> None:
        slot.ended += 1
        flight.answered.append(None)
        if flight.over and len(flight.answered) >= flight.begun:
            with self._lock:
                self._look_complete(flight)
        if self._demand.waits:
            self._demand.look(self.unbegun)

    def dropped(self, slot: Slot) -> None:
        """Called by a worker that ends without an answer: the lease of the message expires."""
        slot.ended += 1

    def _look_complete(self, flight: Flight) -> None:
        if flight.complete or not flight.over or len(flight.answered) < flight.begun:
            return
        flight.complete = True
        if self._settles:
            self.completed.append(flight)
            self.changed()
        elif not flight.left:
            self.flights.discard(flight)

    def settled(self, flight: Flight) -> None:
        self.flights.discard(flight)

    def cut_all(self) -> list[Batch]:
        """At the end: return the batches that have unstarted messages."""
        for flight in list(self.flights):
            self.cut(flight)
        return [flight.batch for flight in self.flights if flight.left]

    def wake(self) -> None:
        """Wake the thread that takes."""
        self._demand.wake()
