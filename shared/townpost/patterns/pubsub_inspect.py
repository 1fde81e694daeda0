"""What an operator can ask about a channel: who listens. Nothing is stored."""

from collections.abc import Sequence

from townpost.errors import SettingError
from townpost.patterns.inspection import Action, Depth, InFlight, Page, Query, Remaining, Scheduled, refuse
from townpost.redis.connection import Command, Connection, Reply

__all__ = ["PubsubInspector"]


class PubsubInspector:
    """Implements `Inspector`."""

    def __init__(self, channel: str) -> None:
        self._channel = channel

    def depths(self) -> Query[dict[str, Depth]]:
        glob = any(c in self._channel for c in "*?[")
        replies = yield [("PUBSUB", "NUMPAT") if glob else ("PUBSUB", "NUMSUB", self._channel)]
        match replies[0]:
            case [_, int(listeners)] | int(listeners):
                return {"": Depth(listeners=listeners)}
        return {"": Depth()}

    def scheduled(self, _connection: Connection, _offset: int, _limit: int) -> Page[Scheduled]:
        return Page([], 0)

    def in_flight(self, _connection: Connection, _offset: int, _limit: int) -> Page[InFlight]:
        return Page([], 0)

    def reschedule(self, _connection: Connection, _action: Action, _members: Sequence[str]) -> int:
        return refuse("pubsub")

    def remaining_commands(self, _until: float) -> list[Command]:
        return []

    def remaining(self, _replies: Sequence[Reply]) -> Remaining:
        return Remaining()

    def payloads(self, _connection: Connection) -> list[bytes]:
        raise SettingError("pubsub keeps nothing that could be listed: choose queue, reliable or stream")
