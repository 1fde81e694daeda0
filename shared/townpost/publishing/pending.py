"""The sends of one event loop that wait for their round trip, in order, and how they share it.

They are numbered and written when their turn comes: one that was cancelled before takes no number, and there are never
more bytes in memory than go into one write.
"""

import asyncio
import copy
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from townpost.errors import HalfSentError, TownpostError, UnavailableError
from townpost.message import Message
from townpost.patterns.contract import Due, Receipt
from townpost.publishing.core import Core
from townpost.publishing.destinations import Destination
from townpost.publishing.exchange import Exchange
from townpost.publishing.rounds import MOST_BYTES
from townpost.redis.connection import pack

__all__ = ["Call", "Flight", "Pending"]

_SOME = 32
"""How many are written before their bytes are counted again."""
_MOST = 10_000
"""How many share a round trip: to write them takes about 20 ms, for which the loop does nothing else."""


class Call:
    """One `send` and what it waits for."""

    __slots__ = ("deadline", "destination", "due", "future", "messages")

    def __init__(
        self,
        destination: Destination,
        messages: Sequence[Message],
        due: Due | None,
        future: asyncio.Future[list[Receipt]],
        deadline: float | None,
    ) -> None:
        self.destination = destination
        self.messages = messages
        self.due = due
        self.future = future
        self.deadline = deadline
        """By the monotonic clock; None: the first failure is final."""

    def fail(self, error: Exception) -> None:
        """Raise this where the call is awaited, in a copy: each of several has a traceback of its own."""
        if self.future.done():
            return
        if isinstance(error, TownpostError) and not isinstance(error, HalfSentError):  # nothing joins across patterns
            error = copy.copy(error)
        if isinstance(error, UnavailableError):
            error.messages = self.messages
        self.future.set_exception(error)


class Flight:
    """Calls that share an exchange, on its way to Redis."""

    __slots__ = ("awaited", "calls", "exchange", "messages", "payloads", "replies", "unwritten")

    def __init__(self) -> None:
        self.unwritten: list[Call] = []
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.payloads: list[bytes] = []
        self.exchange: Exchange
        self.replies = 0
        """How many come to its commands."""
        self.awaited = 0
        """The same with those to the upkeep, which come after them."""

    def write(self, core: Core) -> int:
        """Write the calls that are not, each whole; those that cannot be sent fail. How many bytes were added."""
        calls, self.unwritten = self.unwritten, []
        messages = [message for call in calls for message in call.messages]
        try:
            payloads = core.write(calls[0].destination, messages)
        except Exception as error:  # noqa: BLE001 - is raised where the caller is
            if len(calls) == 1:
                calls[0].fail(error)
                return 0
            return sum(self._write_alone(call, core) for call in calls)
        self.calls += calls
        self.messages += messages
        self.payloads += payloads
        return sum(map(len, payloads))

    def _write_alone(self, call: Call, core: Core) -> int:
        self.unwritten = [call]
        return self.write(core)

    def apart(self) -> "list[Flight]":
        """One for each call, where they cannot be one command."""
        sender = self.calls[0].destination.only
        if len(self.calls) == 1 or (sender is not None and sender.joins(self.messages, None)):
            return [self]
        flights = []
        payloads = iter(self.payloads)
        for call in self.calls:
            flight = Flight()
            flight.calls, flight.messages = [call], list(call.messages)
            flight.payloads = list(islice(payloads, len(call.messages)))
            flights.append(flight)
        return flights

    def packed(self) -> bytes:
        """The commands, then their upkeep."""
        first = self.calls[0]
        self.exchange = exchange = Exchange(first.destination, self.messages, self.payloads, first.due)
        commands, upkeep = exchange.commands, exchange.upkeep_commands
        self.replies = len(commands)
        self.awaited = len(commands) + len(upkeep)
        self.messages, self.payloads = [], []
        return b"".join(map(pack, (*commands, *upkeep)))

    def fail(self, error: Exception) -> None:
        for call in self.calls:
            call.fail(error)


class Pending:
    """A queue in which nothing overtakes what goes to the same place."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Call) -> None:
        self._calls.append(call)

    def take(self, core: Core) -> list[Flight]:
        """As much as one round trip carries: what may be one command for the same queue is."""
        flights: list[Flight] = []
        joined: dict[Destination, Flight] = {}
        count = size = 0
        while self._calls and size < MOST_BYTES and count < _MOST:
            begun = self._next(flights, joined)
            for flight in begun:
                count += len(flight.unwritten)
                size += flight.write(core)
        return [alone for flight in flights if flight.calls for alone in flight.apart()]

    def _next(self, flights: list[Flight], joined: dict[Destination, Flight]) -> list[Flight]:
        """Put the next few calls into flights; those that have gained some."""
        begun: list[Flight] = []
        flight, last = None, None
        for _ in range(min(_SOME, len(self._calls))):
            call = self._calls.popleft()
            if call.future.done():  # cancelled, or its time was up
                continue
            destination = call.destination
            if call.due is not None or destination.only is None:
                joined.clear()  # what comes later stays behind it
                flight, last = Flight(), None
                flights.append(flight)
            elif destination is not last or flight is None:
                last, flight = destination, joined.get(destination)
                if flight is None:
                    flight = joined[destination] = Flight()
                    flights.append(flight)
            if not flight.unwritten:
                begun.append(flight)
            flight.unwritten.append(call)
        return begun

    def put_back(self, calls: Sequence[Call]) -> None:
        """Before all others, in this order: what is to be sent again."""
        self._calls.extendleft(reversed(calls))

    def fail(self, error: Exception, which: Callable[[Call], bool] = lambda _: True) -> None:
        """Those that are to fail leave the queue."""
        for call in self._calls:
            if which(call):
                call.fail(error)
        self._calls = deque(call for call in self._calls if not call.future.done())

    def next_deadline(self, others: Iterable[Call] = ()) -> float:
        """Of all that wait, and of these; infinite if none has one."""
        waiting = (*self._calls, *others)
        deadlines = (call.deadline for call in waiting if call.deadline is not None and not call.future.done())
        return min(deadlines, default=math.inf)
