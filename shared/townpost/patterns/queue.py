"""queue: a message waits in a list until one listener takes it.

Commands:      RPUSH (one for a whole batch); BLPOP to wait, LPOP with a COUNT while there is a backlog.
Keys:          one list (QUEUE), oldest first, raw JSON: any client in any language can use it.
Guarantee:     stored until taken, then at most once, to one of the listeners, in order.
How it fails:  a popped message is no longer in Redis. A listener that is killed loses its batch in flight (a fast one
               also the next batch, which it has asked for); a lost reply loses what it carried. A clean stop puts
               the unstarted messages back.
Use when:      each message should be handled by one of several workers, and losing a few in a crash is fine.
"""

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import cast

import hiredis

from townpost.counts import Counts
from townpost.errors import TownpostError, UnavailableError
from townpost.message import Message
from townpost.patterns.contract import Batch, Due, Guarantees, Pattern
from townpost.patterns.options import Options
from townpost.prefetch import OVERRUN_SECONDS
from townpost.receipts import Receipt
from townpost.redis.connection import REPLY_SECONDS, Command, Connection, Reply, pack, refusal

__all__ = ["QUEUE", "QueueListener", "QueueSender"]

GUARANTEES = Guarantees(
    durable=True, redelivers=False, fan_out=False, ordered=True, replays=False, groups=False, schedules=False
)

_BLOCK_SECONDS = 1.0
_END_SECONDS = 0.3
_MOST = 250
_MOST_BYTES = 32 * 1024 * 1024
_AHEAD = 100
"""If a handler handles so many messages in 50 ms, the next batch is requested before this one is delivered."""


class QueueSender:
    """Appends to the list."""

    def __init__(self, settings: Options) -> None:
        self._queue = settings.queue

    def commands(self, _messages: Sequence[Message], payloads: Sequence[bytes], _due: Due | None) -> list[Command]:
        return [("RPUSH", self._queue, *payloads)]  # 8 times as fast as one command for each

    def joins(self, _messages: Sequence[Message], _due: Due | None) -> bool:
        return True

    def upkeep(self) -> list[Command]:
        return []

    def receipt(
        self, _commands: Sequence[Command], replies: Sequence[Reply], _upkeep: Sequence[Reply], count: int
    ) -> Receipt:
        return Receipt("queue", count, f"list '{self._queue}': length {replies[0]!r}")


class QueueListener:
    """Takes messages from the list; other listeners take from it as well.

    While there is a backlog and the handler is fast, it requests the next batch before it delivers this one.
    """

    can_requeue = True

    def __init__(self, settings: Options, connection: Connection, _counts: Counts) -> None:
        self._url = settings.url
        self._queue = settings.queue
        self._max_bytes = settings.max_message_bytes
        self._connection = connection
        connection.longest = settings.max_message_bytes
        self._pinned = settings.prefetch is not None  # then PREFETCH says how many may be in flight
        self._backlog = False
        self._largest = 0
        self._asked = 0
        """How many messages the LPOP requested whose reply was not read yet; 0: none is outstanding."""
        self._log = logging.getLogger("townpost.queue")

    def open(self) -> None:
        self._connection.connect()
        self._backlog = False
        self._asked = 0

    def take(self, limit: int) -> Batch:
        payloads = self._pop(limit) or self._wait()
        batch = Batch("queue", payloads, self._max_bytes)
        if not self._pinned:
            batch.until = time.monotonic() + OVERRUN_SECONDS
        return batch

    def _pop(self, limit: int) -> list[bytes]:
        """Pop a batch if there is a backlog; otherwise return nothing."""
        if not self._backlog:
            return []
        if not self._asked:
            self._ask(limit)
        asked = self._asked
        if payloads := self._answer():
            self._backlog = len(payloads) == asked
            self._largest = max(map(len, payloads))
            if self._backlog and not self._pinned and limit >= _AHEAD:
                with contextlib.suppress(UnavailableError):  # these are here; the next turn meets it again
                    self._ask(limit)
        return payloads

    def _wait(self) -> list[bytes]:
        """Wait up to a second for one message."""
        try:
            payloads = self._blpop()
        except TownpostError:
            raise
        except BaseException:
            self._end_wait()
            self._connection.close()
            raise
        self._backlog = bool(payloads)  # after one message there may be more
        self._largest = max(map(len, payloads), default=0)
        return payloads

    def _blpop(self) -> list[bytes]:
        connection = self._connection
        connection.send(pack(("BLPOP", self._queue, _BLOCK_SECONDS)), _BLOCK_SECONDS)
        if connection.wait(_BLOCK_SECONDS + REPLY_SECONDS, patience=0):
            return self._popped()
        if connection.stop is not None and connection.stop.is_set():
            self._end_wait()
            return []
        connection.close()
        raise UnavailableError(f"Redis has not answered for {_BLOCK_SECONDS + REPLY_SECONDS:g} s")

    def _popped(self) -> list[bytes]:
        (popped,) = self._connection.replies(1)
        if isinstance(popped, hiredis.ReplyError):
            raise refusal(str(popped))
        return cast("list[bytes]", popped)[1:] if isinstance(popped, list) else []

    def _end_wait(self) -> None:
        """End the wait on the server, which would take one more message, and put back a message that has arrived."""
        control = Connection(self._url, name="townpost-control", connect_seconds=_END_SECONDS)
        control.stop, control.patience, self._connection.patience = self._connection.stop, _END_SECONDS, _END_SECONDS
        payloads: list[bytes] = []
        try:
            if self._connection.connected and self._connection.client_id is not None:
                control.connect()
                ended = control.call("CLIENT", "UNBLOCK", self._connection.client_id)
                # without a wait to end, either its reply is on its way or the wait had not begun
                if (ended or self._connection.wait(_END_SECONDS)) and (payloads := self._popped()):
                    control.call("LPUSH", self._queue, *payloads)
        except TownpostError as error:
            self._log.warning("a wait for messages could not be ended, and may take one, which is lost: %s", error)
            self._connection.close()
        finally:
            control.close()

    def _ask(self, limit: int) -> None:
        # a sudden run of large messages must not fill the memory
        count = min(limit, _MOST, max(1, _MOST_BYTES // max(1, self._largest)))
        try:
            self._connection.send(pack(("LPOP", self._queue, count)))
            self._asked = count
        except BaseException:
            self._connection.close()
            raise

    def _answer(self) -> list[bytes]:
        try:
            self._asked = 0
            (popped,) = self._connection.replies(1)
        except BaseException:
            self._connection.close()
            raise
        if isinstance(popped, hiredis.ReplyError):
            raise refusal(str(popped))
        return cast("list[bytes]", popped) if isinstance(popped, list) else []

    def settle(self, batch: Batch) -> None:
        if batch.position == len(batch.payloads):
            return
        ahead = self._answer() if self._asked else []
        try:
            self._give_back([*batch.unstarted, *ahead])
        except TownpostError:
            batch.payloads = [*batch.payloads, *ahead]  # so the requested batch is in flight as well, and not lost
            raise

    def _give_back(self, payloads: Sequence[bytes]) -> None:
        if payloads:
            self._connection.call("LPUSH", self._queue, *reversed(payloads))

    def lost(self) -> str:
        return "messages that Redis had just handed out may have been lost with the connection"

    def interrupt(self, control: Connection) -> None:
        self._connection.unblock(control)

    def close(self) -> None:
        try:
            if self._asked and self._connection.connected:
                self._give_back(self._answer())
        except TownpostError as error:
            self._log.warning("up to %d messages that were on their way could not be given back: %s", _MOST, error)
        finally:
            self._connection.close()


QUEUE = Pattern("queue", "queue", "QUEUE", GUARANTEES, QueueSender, QueueListener)
