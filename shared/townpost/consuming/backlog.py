"""What was taken and is not begun yet, from which the workers of one subscription help themselves.

A flight is one batch from its take to its settlement. Its messages are begun in order; answers come in any.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from townpost.counts import Counts
from townpost.errors import UnreadableError
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.patterns.leased import LeasedBatch
from townpost.prefetch import Prefetch
from townpost.verdicts import Policy

__all__ = ["Backlog", "Flight", "Work"]


class Flight:
    """One batch at work."""

    __slots__ = ("batch", "iterator", "left", "over", "since", "unanswered")

    def __init__(self, batch: Batch, iterator: Iterator["Work"]) -> None:
        self.batch = batch
        self.iterator = iterator
        self.since = time.monotonic()
        self.unanswered = 0
        """How many are begun and not answered."""
        self.over = False
        """Nothing more of it is begun."""
        self.left: Sequence[int] = ()
        """Positions that were not begun when it was over, and have not gone back yet."""


class Work:
    """One message, or all of a batch, in the hands of a worker."""

    __slots__ = ("flight", "indexes", "messages")

    def __init__(self, flight: Flight, indexes: tuple[int, ...], messages: tuple[Message, ...]) -> None:
        self.flight = flight
        self.indexes = indexes
        self.messages = messages


class Backlog:
    """Shared by the thread that takes, the workers, and the thread that acknowledges."""

    def __init__(
        self,
        counts: Counts,
        stop: threading.Event,
        *,
        concurrency: int,
        whole: bool,
        ahead: bool,
        unreadable: Callable[[Batch, int, UnreadableError], None],
        hear: Callable[[Message], None] | None,
        settles: bool,
    ) -> None:
        """Nothing is in flight.

        Args:
            counts: of this subscription.
            stop: from then on nothing is begun.
            concurrency: how many may be at work.
            whole: a worker gets all of a batch at once.
            ahead: more may be taken than workers are free for, about 50 ms of work. What is not begun in time must be
                possible to give back.
            unreadable: called with what cannot be handed out.
            hear: called with each message before it is begun, in order.
            settles: batches are acknowledged once they are answered.
        """
        self._counts = counts
        self._stop = stop
        self._concurrency = concurrency
        self._whole = whole
        self._ahead = ahead
        self._unreadable = unreadable
        self._hear = hear
        self._settles = settles
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._waiting: deque[Flight] = deque()
        """Of which something is to be begun."""
        self.flights: set[Flight] = set()
        """Not settled."""
        self._unbegun = 0
        self.running = 0
        self._ended = 0
        self._busy_since = 0.0
        self._prefetch = Prefetch()
        self.completed: deque[Flight] = deque()
        """All of it is answered."""
        self.changed: Callable[[], None] = lambda: None
        """Called when there is a flight to look after, or one is complete."""

    def wanted(self) -> int:
        """How many messages to take; waits until there is room for one. 0 once stopped."""
        with self._lock:
            while not self._stop.is_set():
                ahead = self._prefetch.limit - 1 if self._ahead else 0
                room = self._concurrency - self.running + ahead - self._unbegun
                if room > 0 and self._unbegun <= ahead // 2:
                    return room
                self._room.wait(0.1)
        return 0

    def add(self, batch: Batch) -> int:
        """To be begun; how many messages these are."""
        flight = Flight(batch, iter(()))
        flight.iterator = self._works(flight)
        with self._lock:
            if not self.running and not self._unbegun:
                self._busy_since = time.monotonic()
            self._unbegun += len(batch)
            self.flights.add(flight)
            self._waiting.append(flight)
            first = len(self.flights) == 1
        if first:
            self.changed()
        return len(batch)

    def _works(self, flight: Flight) -> Iterator[Work]:
        batch = flight.batch
        stopped = self._stop.is_set
        readable: list[tuple[int, Message]] = []
        for index, message in batch.reading():
            if stopped():
                batch.position = index
                return
            if type(message) is Message:
                if self._hear is not None:
                    self._hear(message)
                if not index:
                    self._counts.latency.add(time.time() - message.timestamp.timestamp())  # of one in a batch
                if self._whole:
                    readable.append((index, message))
                else:
                    yield Work(flight, (index,), (message,))
            else:
                self._unreadable(batch, index, message)  # type: ignore[arg-type]
        if readable:
            yield Work(flight, tuple(index for index, _ in readable), tuple(message for _, message in readable))

    def next(self) -> Work | None:
        """For a worker that is free: what it is to begin, if there is anything."""
        with self._lock:
            while self._waiting:
                flight = self._waiting[0]
                before = flight.batch.position
                work = next(flight.iterator, None)
                self._unbegun -= flight.batch.position - before
                if work is not None:
                    flight.unanswered += len(work.indexes)
                    self.running += 1
                    self._counts.received += len(work.indexes)
                    return work
                self._waiting.popleft()
                self._exhausted(flight)
            self._room.notify()
        return None

    def _exhausted(self, flight: Flight) -> None:
        self._end(flight)
        if not flight.unanswered:
            self._complete(flight)

    def _complete(self, flight: Flight) -> None:
        if self._settles:
            self.completed.append(flight)
            self.changed()
        elif not flight.left:
            self.flights.discard(flight)

    def unbegun(self) -> list[Batch]:
        """At the end: the batches of which something was not begun."""
        with self._lock:
            return [flight.batch for flight in self.flights if flight.batch.position < len(flight.batch)]

    def ended(self, work: Work, error: Exception | None = None, policy: Policy | None = None) -> None:
        """From the worker: handled, or failed."""
        batch = work.flight.batch
        if error is None:
            if isinstance(batch, LeasedBatch):
                for index in work.indexes:
                    batch.answers[index] = 1
        else:
            for index in work.indexes:
                if policy is not None and isinstance(batch, LeasedBatch):
                    batch.policies[index] = policy
                batch.answered(index, error)
        self._freed(work, handled=error is None)

    def dropped(self) -> None:
        """From a worker that ends without an answer: the lease is left to run out."""
        with self._lock:
            self.running -= 1
            self._room.notify()

    def cut(self, flight: Flight) -> None:
        """Nothing more of it is begun; what was not is `left`."""
        with self._lock:
            if not flight.over:
                self._waiting.remove(flight)
                self._end(flight)
                self._room.notify()

    def _end(self, flight: Flight) -> None:
        batch = flight.batch
        flight.over = True
        flight.left = range(batch.position, len(batch))
        self._unbegun -= len(flight.left)

    def _freed(self, work: Work, *, handled: bool) -> None:
        flight = work.flight
        with self._lock:
            number = len(work.indexes)
            self.running -= 1
            self._ended += number
            flight.unanswered -= number
            if handled:
                self._counts.handled += number
            else:
                self._counts.failed += number
            if flight.over and not flight.unanswered:
                self._complete(flight)
            if not self.running and not self._unbegun:
                self._measure(time.monotonic())
            self._room.notify()

    def _measure(self, now: float) -> None:
        self._prefetch.worked(self._ended, now - self._busy_since)
        self._ended, self._busy_since = 0, now

    def measure(self) -> None:
        """From the thread that takes, now and then: how fast the workers are."""
        with self._lock:
            if self._ended:
                self._measure(time.monotonic())

    def settled(self, flight: Flight) -> None:
        self.flights.discard(flight)

    def wake(self) -> None:
        """Whoever waits for room looks again."""
        with self._lock:
            self._room.notify_all()
