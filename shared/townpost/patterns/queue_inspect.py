"""What an operator can ask about a list: how much waits, and since when. Redis keeps no trace of what was popped."""

from collections.abc import Sequence

from townpost.patterns.excerpts import heads, only_head
from townpost.patterns.inspection import Action, Depth, InFlight, Page, Query, Remaining, Scheduled, refuse
from townpost.redis.connection import Command, Connection, Reply
from townpost.redis.replies import bytes_of, checked

__all__ = ["QueueInspector"]


class QueueInspector:
    """Implements `Inspector`."""

    def __init__(self, queue: str) -> None:
        self._queue = queue

    def depths(self) -> Query[dict[str, Depth]]:
        replies = yield [heads([self._queue])]
        head = only_head(replies[0])
        return {"": Depth(depth=head.length, oldest=head.created)}

    def scheduled(self, _connection: Connection, _offset: int, _limit: int) -> Page[Scheduled]:
        return Page([], 0)

    def in_flight(self, _connection: Connection, _offset: int, _limit: int) -> Page[InFlight]:
        return Page([], 0)

    def reschedule(self, _connection: Connection, _action: Action, _members: Sequence[str]) -> int:
        return refuse("queue")

    def remaining_commands(self, _until: float) -> list[Command]:
        return [("LLEN", self._queue)]

    def remaining(self, replies: Sequence[Reply]) -> Remaining:
        (waiting,) = checked(replies)
        return Remaining(waiting)

    def payloads(self, connection: Connection) -> list[bytes]:
        return bytes_of(connection.call("LRANGE", self._queue, 0, -1))
