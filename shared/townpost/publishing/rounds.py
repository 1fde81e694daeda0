"""One connection for many threads: the thread that holds it sends, in one write, what all others have queued."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from townpost.errors import UnavailableError
from townpost.redis.connection import Command, Connection, Reply, pack_all

__all__ = ["MOST_BYTES", "Call", "Rounds", "connect"]

MOST_BYTES = 4 * 1024 * 1024
"""From here on a round trip is not shared any further: a slow link would be busy with it for too long."""


def connect(connection: Connection, *, transactions: bool) -> None:
    """Connect, and check whether MULTI is allowed where it will be needed, before anything is sent.

    Raises:
        UnavailableError, RefusedError
    """
    connection.connect()
    if transactions:
        connection.call("MULTI")
        connection.call("EXEC")


class Call:
    """Packed commands of one caller, and what became of them."""

    __slots__ = ("cancelled", "count", "error", "packed", "replies")

    def __init__(self, packed: bytes, count: int) -> None:
        self.packed = packed
        self.count = count
        self.replies: list[Reply] | None = None
        self.error: Exception | None = None
        self.cancelled = False
        """Its caller was interrupted: if it was not sent yet, it must not be."""


class Rounds:
    """Calls are sent in the order in which they were queued; each gets its own replies, or its own error."""

    def __init__(self, connection: Connection, open_: Callable[[], None]) -> None:
        """Nothing is sent before `result`.

        Args:
            connection: others use it only under `lock`.
            open_: connects it.
        """
        self.lock = threading.Lock()
        self._connection = connection
        self._open = open_
        self._queued: deque[Call] = deque()

    def open(self) -> None:
        """Connect now.

        Raises:
            UnavailableError, RefusedError
        """
        with self.lock:
            self._open()

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        with self.lock:
            self._connection.close()

    def queue(self, commands: Sequence[Command]) -> Call:
        """To be sent with the next round trip; `result` is to follow."""
        call = Call(pack_all(commands), len(commands))
        self._queued.append(call)
        return call

    def result(self, call: Call) -> list[Reply]:
        """The replies, once they are there.

        Raises:
            UnavailableError: it is not known whether the commands were carried out.
            RefusedError: Redis does not let us in.
        """
        try:
            with self.lock:
                while call.replies is None and call.error is None:
                    self._send_queued()
        except BaseException:
            call.cancelled = True
            raise
        if call.error is not None:
            raise type(call.error)(*call.error.args) from call.error
        return call.replies or []

    def _send_queued(self) -> None:
        calls: list[Call] = []
        try:
            size = 0
            while self._queued and size < MOST_BYTES:
                calls.append(self._queued[0])  # before it leaves the queue: no interruption may lose it
                size += len(self._queued.popleft().packed)
            self._exchange([call for call in calls if not call.cancelled])
        except Exception as error:  # noqa: BLE001 - each of them raises it where its caller is
            _end(calls, error)
        except BaseException:
            self._connection.close()
            _end(calls, UnavailableError("interrupted before Redis had answered"))
            raise

    def _exchange(self, calls: list[Call]) -> None:
        if not calls:
            return
        connection = self._connection
        if connection.ended():  # an idle connection was closed: nothing was sent, so a new one is safe
            self._open()
        try:
            connection.send(calls[0].packed if len(calls) == 1 else b"".join([call.packed for call in calls]))
            for call in calls:
                call.replies = connection.replies(call.count)
        except BaseException:
            connection.close()
            raise


def _end(calls: list[Call], error: Exception) -> None:
    for call in calls:
        if call.replies is None and call.error is None:
            call.error = error
