"""What an app still has to do, by what lies in Redis."""

from collections.abc import Sequence
from dataclasses import dataclass

import hiredis

from townpost import keys
from townpost.patterns.stream.scripts import WAITING
from townpost.redis.connection import Command, Connection, Reply, refusal

__all__ = ["Place", "Remaining", "clients", "look"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subscription takes from."""

    pattern: str
    name: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Remaining:
    """Of one place."""

    place: Place
    waiting: int = 0
    in_flight: int = 0
    """Batches of the reliable queue, entries of a stream."""
    due: int = 0
    """Scheduled messages and retries that fall due within the time asked for."""

    def __bool__(self) -> bool:
        return bool(self.waiting or self.in_flight or self.due)

    def __str__(self) -> str:
        numbers = {"waiting": self.waiting, "in flight": self.in_flight, "due": self.due}
        found = ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)
        return f"{self.place.name} ({self.place.pattern}): {found}"


def look(connection: Connection, places: Sequence[Place], within: float) -> list[Remaining]:
    """What is left, all of it as of one moment.

    Pub/sub keeps nothing, so nothing can be left there. What was popped from a list is known to its consumer alone; the
    queue counts as busy until every consumer waits for it again.
    """
    most = _now_ms(connection) + 1000 * within
    parts = [_commands(place, most) for place in places]
    *_, replies = connection.pipeline([("MULTI",), *(command for part in parts for command in part), ("EXEC",)])
    if not isinstance(replies, list):
        raise refusal(str(replies))
    left: list[Remaining] = []
    for place, part in zip(places, parts, strict=True):
        mine, replies = replies[: len(part)], replies[len(part) :]
        left.append(_streams(place, mine) if place.pattern == "stream" else _lists(place, mine))
    queues = sum(place.pattern == "queue" for place in places)
    if queues and not any(left) and not _all_wait(connection, queues):
        left.append(Remaining(next(place for place in places if place.pattern == "queue"), in_flight=1))
    return [one for one in left if one]


def _now_ms(connection: Connection) -> float:
    match connection.call("TIME"):
        case [bytes(seconds), bytes(micros)]:
            return int(seconds) * 1000 + int(micros) / 1000
        case reply:
            raise TypeError(f"TIME answered {reply!r}")


def _commands(place: Place, most: float) -> list[Command]:
    name = place.name
    if place.pattern == "stream":
        return [
            ("XLEN", name),
            ("XINFO", "GROUPS", name),
            ("XPENDING", name, place.group),
            ("ZCOUNT", keys.retries(name, place.group), "-inf", most),
        ]
    if place.pattern == "reliable":
        return [
            ("LLEN", name),
            ("LLEN", keys.of(name).handoff),
            ("LLEN", keys.of(name).suspects),
            ("ZCARD", keys.of(name).priority),
            ("ZCARD", keys.of(name).leases),
            ("ZCOUNT", keys.of(name).scheduled, "-inf", most),
        ]
    return [("LLEN", name)] if place.pattern == "queue" else []


def _lists(place: Place, replies: Sequence[Reply]) -> Remaining:
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise refusal(str(reply))
    numbers = [reply for reply in replies if isinstance(reply, int)]
    if place.pattern == "reliable":
        *waiting, in_flight, due = numbers
        return Remaining(place, sum(waiting), in_flight, due)
    return Remaining(place, sum(numbers))


def _streams(place: Place, replies: Sequence[Reply]) -> Remaining:
    length, groups, pending, due = replies
    if not isinstance(length, int):
        raise refusal(str(length))
    waiting = length  # unless there is a group, which may have read some of it
    for fields in groups if isinstance(groups, list) else []:
        group = dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else {}
        if group.get(b"name") == place.group.encode():
            lag = group.get(b"lag")
            waiting = lag if isinstance(lag, int) else 0  # unknown only where entries were deleted
    consumers = pending[3] if isinstance(pending, list) else None
    in_flight = 0
    for one in consumers if isinstance(consumers, list) else []:
        match one:
            case [bytes(name), bytes(count)] if name != WAITING:
                in_flight += int(count)
    return Remaining(place, waiting, in_flight, due if isinstance(due, int) else 0)


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
