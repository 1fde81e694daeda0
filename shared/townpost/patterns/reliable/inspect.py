"""What an operator can ask about a reliable queue: its claims, what is scheduled, and both changed by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from townpost import keys
from townpost.errors import WrongTypeError
from townpost.patterns.excerpts import head, heads, only_head
from townpost.patterns.inspection import (
    CUT,
    MOST_CLAIMS,
    Action,
    Depth,
    Excerpt,
    InFlight,
    Page,
    Query,
    Remaining,
    Scheduled,
)
from townpost.patterns.scripts import Script
from townpost.redis.connection import Command, Connection, Reply, refusal
from townpost.redis.replies import bytes_of, checked, count_of, moment, number, pairs

__all__ = ["STAMP", "Listing", "ReliableInspector", "in_flight", "scheduled"]

T = TypeVar("T")

STAMP = 21
"""Characters before the payload of a scheduled or urgent message: see publish.lua."""

_CLAIMS = Script("reliable/inspect_claims.lua")
_SCHEDULED = Script("reliable/inspect_scheduled.lua")
_RESCHEDULE = Script("reliable/reschedule.lua")
_COUNTED_CLAIMS = 12
"""So many claims are counted; of more, an estimate."""
_LONGEST = 700
"""Bytes of the name of a claim: it holds the names of its queue and of its consumer."""


class ReliableInspector:
    """Implements `townpost.patterns.inspection.Inspector`."""

    def __init__(self, queue: str) -> None:
        self._keys = keys.of(queue)

    def depths(self) -> Query[dict[str, Depth]]:
        k = self._keys
        replies = yield [
            heads([k.queue]),
            ("LLEN", k.handoff),
            ("ZCARD", k.priority),
            ("LLEN", k.suspects),
            ("ZCARD", k.scheduled),
            ("XLEN", k.dead),
            self._claims(),
        ]
        list_ = only_head(replies[0])
        waiting = sum(number(reply) or 0 for reply in replies[1:4])
        depth = Depth(
            depth=None if list_.length is None else list_.length + waiting,
            oldest=list_.created,
            scheduled=number(replies[4]),
            dead=number(replies[5]),
        )
        match replies[6]:
            case [int(there), *flat]:
                depth.in_flight = 0
                lengths = yield [("LLEN", claim) for claim in bytes_of(flat)[::2][:_COUNTED_CLAIMS]]
                _count_claims(depth, there, lengths)
        return {"": depth}

    def scheduled(self, connection: Connection, offset: int, limit: int) -> Page[Scheduled]:
        sources = [self._keys.scheduled, self._keys.attempts]
        reply = connection.call(*_SCHEDULED.read_only(sources, offset, limit, CUT, STAMP))
        total, *rows = reply if isinstance(reply, list) else [0]
        return Page([found for row in rows if (found := _scheduled_row(row))], number(total) or 0)

    def in_flight(self, connection: Connection, offset: int, limit: int) -> Page[InFlight]:
        reply = connection.call(*self._claims())
        total, named = (reply[0], reply[1:]) if isinstance(reply, list) else (0, [])
        claims = sorted(pairs(named), key=lambda claim: float(claim[1]))[offset : offset + limit]
        (found,) = connection.pipeline([heads([name for name, _ in claims])]) if claims else ([],)
        rows = [
            _claim(name, float(deadline) / 1000, first)
            for (name, deadline), first in zip(claims, found if isinstance(found, list) else [], strict=False)
        ]
        return Page(rows, number(total) or 0)

    def reschedule(self, connection: Connection, action: Action, members: Sequence[str]) -> int:
        named = [(score, sha) for score, _, sha in (name.rpartition("-") for name in members) if score]
        words = [word for member in named for word in member]
        return number(connection.call(*_RESCHEDULE.whole([self._keys.scheduled], action, *words))) or 0

    def remaining_commands(self, until: float) -> list[Command]:
        return [
            ("LLEN", self._keys.queue),
            ("LLEN", self._keys.handoff),
            ("LLEN", self._keys.suspects),
            ("ZCARD", self._keys.priority),
            ("ZCARD", self._keys.leases),
            ("ZCOUNT", self._keys.scheduled, "-inf", until),
        ]

    def remaining(self, replies: Sequence[Reply]) -> Remaining:
        *waiting, claims, due = checked(replies)
        return Remaining(sum(waiting), claims, due)

    def payloads(self, connection: Connection) -> list[bytes]:
        urgent = bytes_of(connection.call("ZRANGE", self._keys.priority, 0, -1))
        return [*(member[STAMP:] for member in urgent), *bytes_of(connection.call("LRANGE", self._keys.queue, 0, -1))]

    def _claims(self) -> Command:
        literal = "".join(f"\\{c}" if c in "*?[]\\" else c for c in self._keys.claims)
        return _CLAIMS.read_only([self._keys.leases], f"{literal}*", MOST_CLAIMS, _LONGEST)


def _count_claims(depth: Depth, claims: int, replies: Sequence[Reply]) -> None:
    lengths = [length for reply in replies if (length := number(reply)) is not None]
    if lengths:
        depth.estimated = claims > len(lengths)
        depth.in_flight = round(sum(lengths) * max(1.0, claims / len(lengths)))


def _scheduled_row(row: Reply) -> Scheduled | None:
    match row:
        case [bytes(sha), bytes(score), bytes(level), bytes(payload), int(size), bytes(failed)]:
            return Scheduled(
                member=f"{score.decode()}-{sha.decode()}",
                due=float(score) / 1000,
                level=int(level) if level.isdigit() else 0,
                attempts=count_of(failed.decode(errors="replace")),
                payload=Excerpt(payload, size),
            )
    return None


def _claim(name: bytes, until: float, reply: Reply) -> InFlight:
    first = head(reply)
    text = name.decode(errors="replace")
    return InFlight(
        id=text,
        consumer=text.rpartition(":claim:")[2].removesuffix(keys.AHEAD).rpartition(":")[0],
        messages=first.length or 0,
        until=until,
        idle=None,
        attempts=None,
        payload=first.first,
    )


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What was found, and how many members were skipped because this queue did not write them."""

    rows: list[T]
    skipped: int


def scheduled(connection: Connection, queue: str, most: int) -> Listing[tuple[datetime, bytes]]:
    """When and what, whole, soonest first."""
    found = _scored(connection, keys.of(queue).scheduled, most)
    rows = [(moment(due), member[STAMP:]) for member, due in found if member[:STAMP].isdigit() and len(member) > STAMP]
    return Listing(rows, len(found) - len(rows))


def in_flight(connection: Connection, queue: str, most: int) -> Listing[tuple[datetime, str, int]]:
    """Until when, which claim, how many messages."""
    found = _scored(connection, keys.of(queue).leases, most)
    prefix = keys.of(queue).claims.encode()
    claims = [(name, deadline) for name, deadline in found if name.startswith(prefix)]
    lengths = connection.pipeline([("LLEN", name) for name, _ in claims]) if claims else []
    rows = []
    for (name, deadline), length in zip(claims, lengths, strict=True):
        if isinstance(length, int):
            rows.append((moment(deadline), name.decode("utf-8", "backslashreplace"), length))
        elif not isinstance(error := refusal(str(length)), WrongTypeError):
            raise error
    return Listing(rows, len(found) - len(rows))


def _scored(connection: Connection, key: str, most: int) -> list[tuple[bytes, float]]:
    reply = connection.call("ZRANGE", key, 0, most - 1, "WITHSCORES")
    return [(member, float(score)) for member, score in pairs(reply)]
