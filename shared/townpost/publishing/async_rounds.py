"""One connection for all tasks of an event loop: what they send in the same turn of it shares a round trip.

There is one round trip at a time; what is sent meanwhile goes with the next. After an outage, what was not acknowledged
is sent again before anything else, in its order and as the same bytes, for as long as its callers wait for it.
"""

import asyncio
import logging
import math
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from townpost.errors import TownpostError, UnavailableError
from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.publishing.core import Core
from townpost.publishing.destinations import Destination
from townpost.publishing.flight import Flight
from townpost.publishing.pending import Pending
from townpost.publishing.rounds import connect
from townpost.receipts import Receipt
from townpost.redis.backoff import Backoff
from townpost.redis.connection import REPLY_SECONDS, Connection, Reply, endpoint
from townpost.redis.wire import Dialled, Wire, dial

__all__ = ["AsyncRounds"]

_GLANCE_SECONDS = 0.05
"""How much later than its time limit a send may end, so that thousands that end alike are looked at together."""

_log = logging.getLogger("townpost.publisher")


class AsyncRounds:
    """All methods are for the loop's own thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, core: Core) -> None:
        self.loop = loop
        self._core = core
        self._url = core.settings.url
        self._where = endpoint(self._url)
        self._pending = Pending()
        self._flights: deque[Flight] = deque()
        """On their way, in the order of their replies."""
        self._replies: deque[Reply] = deque()
        self._wire: Wire | None = None
        self._dialling: Callable[[Dialled], None] | None = None
        """What the connection that is being made is for; one that was given up is closed when it comes."""
        self._opening: list[asyncio.Future[None]] = []
        self._pause: asyncio.TimerHandle | None = None
        self._flushing = False
        self._watch: asyncio.TimerHandle | None = None
        self._watch_at = math.inf
        self._backoff = Backoff()
        self._not_ready: tuple[UnavailableError, list[Flight]] | None = None
        self._trouble: UnavailableError | None = None
        """Why nothing gets through, and since when."""
        self._since = 0.0

    def queue(
        self,
        destination: Destination,
        messages: Sequence[Message],
        due: Due | None,
        future: asyncio.Future[list[Receipt]],
        deadline: float | None,
    ) -> None:
        """Send them with the next round trip. The future gets the receipts; to cancel it concerns no other."""
        self._pending.add(destination, messages, due, future, deadline)
        if deadline is None or deadline < self._watch_at:
            self._look_at(deadline)
        if not self._flushing and not self._flights:
            self._flush_soon()

    async def open(self) -> None:
        """Connect, unless it is connected.

        Raises:
            UnavailableError, RefusedError
        """
        if self._wire is None:
            opened: asyncio.Future[None] = self.loop.create_future()
            self._opening.append(opened)
            self._dial()
            await opened

    def close(self) -> None:
        """Close the socket; whatever waits raises an UnavailableError. The loop may be closed already."""
        self._dialling = None
        for handle in (self._pause, self._watch):
            if handle is not None:
                handle.cancel()
        self._pause, self._watch, self._watch_at = None, None, math.inf
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if not self.loop.is_closed():
            self._fail_all(UnavailableError("the publisher was closed before Redis had answered"))

    def _fail_all(self, error: TownpostError) -> None:
        self._open_failed(error)
        for flight in self._flights:
            flight.fail(error)
        self._flights.clear()
        self._replies.clear()
        self._pending.fail(error)

    def _open_failed(self, error: TownpostError) -> None:
        for opened in self._opening:
            if not opened.done():
                opened.set_exception(type(error)(*error.args))
        self._opening.clear()

    # sending

    def _flush_soon(self) -> None:
        self._flushing = True
        self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._flights or not self._pending:
            return
        if self._wire is None or self._wire.ended():  # of an idle one that was closed: nothing is lost
            if self._pause is None:
                self._dial()
            return
        flights = self._pending.take(self._core)
        if flights:
            self._flights.extend(flights)
            self._look_at(time.monotonic() + REPLY_SECONDS)
            self._wire.write(b"".join([flight.packed() for flight in flights]))

    def _received(self, replies: list[Reply]) -> None:
        self._replies += replies
        while self._flights and len(self._replies) >= self._flights[0].awaited:
            self._land(self._flights.popleft())
        if self._flights:
            return
        if self._replies:  # nothing was asked
            self._lost(UnavailableError(f"Redis at {self._where} has sent what was not asked for"))
        elif self._not_ready is not None:
            error, calls = self._not_ready
            self._not_ready = None
            self._lost(error, calls)
        elif self._pending:
            self._flush_soon()  # behind the tasks that go on now, so that what they send goes with it

    def _land(self, flight: Flight) -> None:
        """Its replies are there, or at least those to its commands."""
        replies = [self._replies.popleft() for _ in range(min(flight.awaited, len(self._replies)))]
        try:
            receipts = self._core.receipts(flight.exchange, replies[: flight.replies], replies[flight.replies :])
        except UnavailableError as error:
            self._not_ready = (error, [*(self._not_ready[1] if self._not_ready is not None else ()), flight])
        except Exception as error:  # noqa: BLE001 - is raised where the caller is
            self._worked()
            flight.fail(error)
        else:
            self._worked()
            flight.land(receipts)

    # outages

    def _worked(self) -> None:
        if self._trouble is not None:
            _log.warning("Redis is back after %.1f s", time.monotonic() - self._since)
            self._trouble = None
        self._backoff.worked()

    def _lost(self, error: UnavailableError, again: Sequence[Flight] = ()) -> None:
        """Connect again, and send again what was not acknowledged."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._flights and len(self._replies) >= self._flights[0].replies > 0:
            self._land(self._flights.popleft())  # what is missing is the reply to its upkeep
        if self._not_ready is not None:
            again, self._not_ready = [*again, *self._not_ready[1]], None
        again = [*again, *self._flights]
        self._flights.clear()
        self._replies.clear()
        if again:
            for flight in again:
                flight.fail(error, until=None)
            self._pending.put_back([flight.waiting() for flight in again])
            self._failed(error)
        elif self._pending and not self._flushing:
            self._flush_soon()

    def _failed(self, error: UnavailableError) -> None:
        """Try again after a pause, if there is anything to send."""
        if not self._pending:
            return
        if self._trouble is None:
            self._since = time.monotonic()
            _log.warning("%s; what was not acknowledged is sent again", error)
        self._trouble = error
        self._pause = self.loop.call_later(self._backoff.pause(), self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._flush()

    def _dial(self) -> None:
        if self._dialling is not None:
            return
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

        def then(dialled: Dialled) -> None:
            if self._dialling is then:
                self._dialled(dialled)
            elif isinstance(dialled, socket.socket):
                dialled.close()

        self._dialling = then
        dial(self.loop, partial(_connected, self._url, transactions=self._core.destinations.several), then)

    def _dialled(self, dialled: Dialled) -> None:
        self._dialling = None
        if isinstance(dialled, socket.socket):
            self._wire = Wire(self.loop, dialled, self._where, self._received, self._lost)
            for opened in self._opening:
                if not opened.done():
                    opened.set_result(None)
            self._opening.clear()
            self._flush()
        elif isinstance(dialled, UnavailableError):
            self._open_failed(dialled)
            self._pending.fail(dialled, until=None)
            self._failed(dialled)
        else:
            self._fail_all(dialled)  # it stays true until a setting is mended

    # time limits

    def _look_at(self, when: float | None) -> None:
        """See at this moment what has become too late. None: what tries only once does not wait for a pause to end."""
        if when is None:
            if self._pause is not None:
                self._dial()
        elif when < self._watch_at:
            if self._watch is not None:
                self._watch.cancel()
            self._watch_at = when
            self._watch = self.loop.call_later(when - time.monotonic(), self._look)

    def _look(self) -> None:
        now = time.monotonic()
        self._watch, self._watch_at = None, math.inf
        if self._flights and self._wire is not None and now - self._wire.moved >= REPLY_SECONDS:
            self._lost(UnavailableError(f"Redis at {self._where} has not answered for {REPLY_SECONDS:g} s"))
        error = self._trouble or UnavailableError(f"Redis at {self._where} has not answered in time")
        for flight in self._flights:
            flight.fail(error, until=now)
        self._pending.fail(error, until=now)
        upcoming = min([self._pending.next_deadline(), *(flight.next_deadline() for flight in self._flights)])
        if self._flights and self._wire is not None:
            upcoming = min(upcoming, self._wire.moved + REPLY_SECONDS)
        if upcoming < math.inf:
            self._look_at(max(upcoming, now + _GLANCE_SECONDS))


def _connected(url: str, *, transactions: bool) -> Connection:
    connection = Connection(url, name="townpost-publisher")
    connect(connection, transactions=transactions)
    return connection
