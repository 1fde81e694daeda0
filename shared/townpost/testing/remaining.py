"""What an app still has to do, by what lies in Redis."""

from collections.abc import Sequence
from dataclasses import dataclass

from townpost.patterns import PATTERNS
from townpost.patterns.inspection import Remaining
from townpost.patterns.inspectors import inspector
from townpost.redis.connection import Connection, refusal

__all__ = ["Place", "clients", "look"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subscription takes from."""

    pattern: str
    name: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.pattern})"


def look(connection: Connection, places: Sequence[Place], within: float) -> list[tuple[Place, Remaining]]:
    """What is left, all of it as of one moment.

    Pub/sub keeps nothing, so nothing can be left there. What was popped from a list is known to its consumer alone; the
    queue counts as busy until every consumer waits for it again.
    """
    most = _now_ms(connection) + 1000 * within
    inspectors = [inspector(place.pattern, place.name, group=place.group, lease_seconds=0) for place in places]
    parts = [one.remaining_commands(most) for one in inspectors]
    *_, replies = connection.pipeline([("MULTI",), *(command for part in parts for command in part), ("EXEC",)])
    if not isinstance(replies, list):
        raise refusal(str(replies))
    left: list[tuple[Place, Remaining]] = []
    for place, one, part in zip(places, inspectors, parts, strict=True):
        left.append((place, one.remaining(replies[: len(part)])))
        replies = replies[len(part) :]
    popped = [place for place in places if _is_popped(place)]
    if popped and not any(remaining for _, remaining in left) and not _all_wait(connection, len(popped)):
        left.append((popped[0], Remaining(in_flight=1)))
    return [(place, remaining) for place, remaining in left if remaining]


def _is_popped(place: Place) -> bool:
    """Whether Redis keeps no trace of what is in flight there."""
    guarantees = PATTERNS[place.pattern].guarantees
    return guarantees.durable and not guarantees.redelivers


def _now_ms(connection: Connection) -> float:
    match connection.call("TIME"):
        case [bytes(seconds), bytes(micros)]:
            return int(seconds) * 1000 + int(micros) / 1000
        case reply:
            raise TypeError(f"TIME answered {reply!r}")


def _all_wait(connection: Connection, count: int) -> bool:
    """Whether so many consumers of lists are connected, and all of them wait in BLPOP."""
    consumers = [client for client in clients(connection) if client.get(b"name") == b"townpost-queue"]
    return len(consumers) >= count and all(b"b" in client.get(b"flags", b"") for client in consumers)


def clients(connection: Connection) -> list[dict[bytes, bytes]]:
    """The fields of CLIENT LIST."""
    reply = connection.call("CLIENT", "LIST")
    lines = reply.splitlines() if isinstance(reply, bytes) else []
    pairs = ([field.partition(b"=") for field in line.split(b" ")] for line in lines)
    return [{name: value for name, _, value in line} for line in pairs]
