"""queue: the post office. The letter waits until one person collects it.

Commands:      RPUSH (one for a whole batch); BLPOP to wait, LPOP with a COUNT while there is a backlog.
Keys:          one list (QUEUE), oldest first, raw JSON: any client in any language can use it.
Guarantee:     stored until taken, then at most once, to one of the listeners, in order.
How it fails:  what was popped is gone from Redis: a listener killed with a batch in hand (a fast one has the next
               on its way as well), or a reply lost on the way, loses it. A clean stop gives the rest back.
Use when:      each message should be handled by one of several workers, and losing a few in a crash is fine.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import hiredis

from shared.connection import Link, Reply, pack, refusal
from shared.counts import Counts
from shared.errors import TownpostError
from shared.message import Message
from shared.patterns.contract import Batch, Command, Due, Guarantees, Pattern, Receipt

if TYPE_CHECKING:
    from shared.settings import Settings

__all__ = ["QUEUE", "QueueListener", "QueueSender"]

GUARANTEES = Guarantees(
    durable=True, redelivers=False, fan_out=False, ordered=True, replays=False, groups=False, schedules=False
)

_BLOCK_SECONDS = 1.0
_MOST = 250
_MOST_BYTES = 32 * 1024 * 1024
_AHEAD = 100
"""From how many messages in 50 ms the next batch is asked for ahead: not where a handler takes its time."""


class QueueSender:
    """Appends to the list."""

    def __init__(self, settings: "Settings") -> None:
        self._queue = settings.queue

    def commands(self, _messages: Sequence[Message], payloads: Sequence[bytes], _due: Due | None) -> list[Command]:
        return [("RPUSH", self._queue, *payloads)]  # 8 times as fast as one command for each

    def upkeep(self) -> list[Command]:
        return []

    def receipt(self, replies: Sequence[Reply], _upkeep: Sequence[Reply], count: int) -> Receipt:
        return Receipt("queue", count, f"list '{self._queue}': length {replies[0]!r}")


class QueueListener:
    """Takes from the list, competing with everyone else who does.

    While a backlog is worked off by a fast handler, the next batch is asked for before this one is handed out.
    """

    unhandled_return = True

    def __init__(self, settings: "Settings", link: Link, _counts: Counts) -> None:
        self._queue = settings.queue
        self._max_bytes = settings.max_message_bytes
        self._link = link
        self._ahead = _AHEAD if settings.prefetch is None else None  # PREFETCH says how many may be in hand
        self._backlog = False
        self._largest = 0
        self._asked = 0
        """How many messages were asked for, while the reply is on its way."""
        self._log = logging.getLogger("townpost.queue")

    def open(self) -> None:
        self._link.connect()
        self._backlog = False
        self._asked = 0

    def take(self, limit: int) -> Batch:
        if self._backlog:
            if not self._asked:
                self._ask(limit)
            asked = self._asked
            if payloads := self._answer():
                self._backlog = len(payloads) == asked
                self._largest = max(map(len, payloads))
                if self._backlog and self._ahead is not None and limit >= self._ahead:
                    self._ask(limit)
                return Batch("queue", payloads, self._max_bytes)
        popped = self._link.call("BLPOP", self._queue, _BLOCK_SECONDS, block=_BLOCK_SECONDS)
        self._backlog = popped is not None  # where one was, more may be
        return Batch("queue", _bytes(popped)[1:], self._max_bytes)

    def _ask(self, limit: int) -> None:
        # a sudden run of large messages must not fill the memory
        count = min(limit, _MOST, max(1, _MOST_BYTES // max(1, self._largest)))
        self._link.send(pack(("LPOP", self._queue, count)))
        self._asked = count

    def _answer(self) -> list[bytes]:
        self._asked = 0
        (popped,) = self._link.replies(1)
        if isinstance(popped, hiredis.ReplyError):
            raise refusal(str(popped))
        return _bytes(popped)

    def settle(self, batch: Batch) -> None:
        if batch.left:
            self._give_back([*batch.left, *(self._answer() if self._asked else ())])

    def _give_back(self, payloads: Sequence[bytes]) -> None:
        if payloads:
            self._link.call("LPUSH", self._queue, *reversed(payloads))

    def lost(self) -> str:
        return "messages that Redis had just handed out may have been lost with the connection"

    def interrupt(self, control: Link) -> None:
        if self._link.client_id is not None:
            control.call("CLIENT", "UNBLOCK", self._link.client_id)

    def close(self) -> None:
        try:
            if self._asked and self._link.connected:
                self._give_back(self._answer())
        except TownpostError as error:
            self._log.warning("up to %d messages that were on their way could not be given back: %s", _MOST, error)
        finally:
            self._link.close()


def _bytes(reply: Reply) -> list[bytes]:
    return [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []


QUEUE = Pattern("queue", "queue", "QUEUE", GUARANTEES, QueueSender, QueueListener)
