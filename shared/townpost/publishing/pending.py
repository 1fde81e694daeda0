"""The sends of one event loop that wait for their round trip, in order."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence

from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.publishing.core import Core
from townpost.publishing.destinations import Destination
from townpost.publishing.flight import MOST_SENDS, Flight
from townpost.publishing.rounds import MOST_BYTES
from townpost.receipts import Receipt

__all__ = ["Pending"]


class Pending:
    """A queue in which nothing overtakes what goes to the same place.

    Messages are written when their turn comes, so there are never more bytes in memory than go into one write.
    """

    def __init__(self) -> None:
        self._flights: deque[Flight] = deque()
        self._joined: dict[Destination, Flight] = {}
        """Those that may be one command with what comes next."""

    def __bool__(self) -> bool:
        return bool(self._flights)

    def add(
        self,
        destination: Destination,
        messages: Sequence[Message],
        due: Due | None,
        future: asyncio.Future[list[Receipt]],
        deadline: float | None,
    ) -> None:
        flight = self._joined.get(destination) if due is None else None
        if flight is None:
            flight = Flight(destination, due)
            self._flights.append(flight)
            if due is None and destination.only is not None:
                self._joined[destination] = flight
            else:
                self._joined.clear()  # what comes later stays behind it
        flight.messages += messages  # as `Flight.add`, without the call for each message
        flight.sizes.append(len(messages))
        flight.futures.append(future)
        flight.deadlines.append(deadline)

    def take(self, core: Core) -> list[Flight]:
        """As much as one round trip carries."""
        taken: list[Flight] = []
        work = size = 0
        while self._flights and size < MOST_BYTES and work < MOST_SENDS:
            flight = self._flights.popleft()
            if self._joined.get(flight.destination) is flight:
                del self._joined[flight.destination]
            written, added, left = flight.waiting().write(core, MOST_BYTES - size)
            taken += written
            size += added
            work += sum(one.work for one in written)
            if left.futures:
                self._flights.appendleft(left)
        return taken

    def put_back(self, flights: Sequence[Flight]) -> None:
        """Before all others, in this order: what is to be sent again."""
        self._flights.extendleft(flight for flight in reversed(flights) if flight.futures)

    def fail(self, error: Exception, *, until: float | None = math.inf) -> None:
        """Those that `Flight.fail` means leave the queue."""
        for flight in self._flights:
            flight.fail(error, until=until)
        self._flights = deque(left for flight in self._flights if (left := flight.waiting()).futures)
        self._joined.clear()

    def next_deadline(self) -> float:
        """Infinite if there is none."""
        return min((flight.next_deadline() for flight in self._flights), default=math.inf)
