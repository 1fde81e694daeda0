"""queue: the post office. The letter waits until one person collects it.

Commands:      RPUSH (one for a whole batch); BLPOP to wait, LPOP with a COUNT while there is a backlog.
Keys:          one list (QUEUE), oldest first, raw JSON: any client in any language can use it.
Guarantee:     stored until taken, then at most once, to one of the listeners, in order.
How it fails:  what was popped is gone from Redis: a listener killed with a batch in hand, or a reply lost on
               the way, loses it. A clean stop gives the rest of a batch back.
Use when:      each message should be handled by one of several workers, and losing a few in a crash is fine.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.connection import Link, Reply
from shared.counts import Counts
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
    """Takes from the list, competing with everyone else who does."""

    unhandled_return = True

    def __init__(self, settings: "Settings", link: Link, _counts: Counts) -> None:
        self._queue = settings.queue
        self._max_bytes = settings.max_message_bytes
        self._link = link
        self._backlog = False
        self._largest = 0

    def open(self) -> None:
        self._link.connect()
        self._backlog = False

    def take(self, limit: int) -> Batch:
        return Batch("queue", self._pop(limit), self._max_bytes)

    def _pop(self, limit: int) -> list[bytes]:
        if self._backlog:
            # a sudden run of large messages must not fill the memory
            count = min(limit, _MOST, max(1, _MOST_BYTES // max(1, self._largest)))
            popped = self._link.call("LPOP", self._queue, count)
            if isinstance(popped, list):
                payloads = [payload for payload in popped if isinstance(payload, bytes)]
                self._backlog = len(payloads) == count
                self._largest = max(map(len, payloads))
                return payloads
        popped = self._link.call("BLPOP", self._queue, _BLOCK_SECONDS, block=_BLOCK_SECONDS)
        self._backlog = popped is not None  # where one was, more may be
        return [payload for payload in popped[1:] if isinstance(payload, bytes)] if isinstance(popped, list) else []

    def settle(self, batch: Batch) -> None:
        if batch.left:
            self._link.call("LPUSH", self._queue, *reversed(batch.left))

    def lost(self) -> str:
        return "a message that Redis had just handed out may have been lost with the connection"

    def interrupt(self, control: Link) -> None:
        if self._link.client_id is not None:
            control.call("CLIENT", "UNBLOCK", self._link.client_id)

    def close(self) -> None:
        self._link.close()


QUEUE = Pattern("queue", "queue", "QUEUE", GUARANTEES, QueueSender, QueueListener)
