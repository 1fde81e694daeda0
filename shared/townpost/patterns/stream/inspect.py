"""Answers an operator's questions about a stream: what each consumer group has read, has in flight, and gets again."""

from collections.abc import Sequence

from townpost import keys
from townpost.patterns.excerpts import first_entry, single_entries
from townpost.patterns.inspection import Action, Depth, Excerpt, InFlight, Page, Query, Remaining, Scheduled, refuse
from townpost.patterns.stream.entries import parse
from townpost.patterns.stream.scripts import WAITING
from townpost.redis.connection import Command, Connection, Reply, refusal
from townpost.redis.replies import count_of, fields, number, pairs

__all__ = ["StreamInspector"]

_MOST_GROUPS = 16
_MOST_CONSUMERS = 50


class StreamInspector:
    """Implements `townpost.patterns.inspection.Inspector` for one group; `depths` is for all groups."""

    def __init__(self, stream: str, group: str, lease_seconds: float) -> None:
        self._stream = stream
        self._group = group
        self._lease_seconds = lease_seconds
        self._oldest: dict[str, tuple[bytes, float]] = {}
        """Of a group: its last-delivered id, and when the entry that follows was created. To read an entry only for its
        id, the server copies all of it: once for each id, not at every look."""

    def depths(self) -> Query[dict[str, Depth]]:
        stream = self._stream
        replies = yield [("XLEN", stream), ("XINFO", "GROUPS", stream), ("XLEN", keys.of(stream).dead)]
        length, dead = number(replies[0]), number(replies[2])
        depths: dict[str, Depth] = {}
        after: dict[str, bytes] = {}
        for group in _groups(replies[1])[:_MOST_GROUPS]:
            last = group.get("last-delivered-id")
            if (name := _utf8(group.get("name"))) and isinstance(last, bytes):
                depths[name] = Depth(depth=number(group.get("lag")), dead=dead, stored=length)
                after[name] = b"(" + last
        if not depths:
            depths[self._group] = Depth(depth=length, dead=dead, stored=length, group=False)
            after[self._group] = b"-"
        known = {name: found for name, found in self._oldest.items() if after.get(name) == found[0]}
        wanted = [name for name in depths if name not in known and length]
        replies = yield [
            *(("XPENDING", stream, name) for name in depths),
            *(first_entry(stream, after[name]) for name in wanted),
        ]
        for depth, reply in zip(depths.values(), replies, strict=False):
            _count_pending(depth, reply)
        for name, reply in zip(wanted, replies[len(depths) :], strict=False):
            if (created := _created(reply)) is not None:
                known[name] = (after[name], created)
        for name, (_, created) in known.items():
            depths[name].oldest = created
        self._oldest = known
        return depths

    def scheduled(self, connection: Connection, offset: int, limit: int) -> Page[Scheduled]:
        """Retries and returned entries: they are pending in the name of `WAITING` until their lease expires."""
        total = dict(self._holders(connection)).get(WAITING, 0)
        waiting = self._pending(connection, WAITING, offset + limit)[offset:] if total else []
        payloads = single_entries(connection, self._stream, [entry.id for entry in waiting])
        now = _now(connection)
        rows = [
            Scheduled("", now + self._lease_seconds - (entry.idle or 0.0), 0, entry.attempts or 0, payload)
            for entry, payload in zip(waiting, payloads, strict=False)
        ]
        return Page(rows, total)

    def in_flight(self, connection: Connection, offset: int, limit: int) -> Page[InFlight]:
        holders = [(name, count) for name, count in self._holders(connection) if name != WAITING][:_MOST_CONSUMERS]
        held = [entry for name, _ in holders for entry in self._pending(connection, name, offset + limit)]
        held = sorted(held, key=lambda entry: (entry.id, entry.consumer))[offset : offset + limit]
        payloads = single_entries(connection, self._stream, [entry.id for entry in held])
        rows = [
            InFlight(entry.id, entry.consumer, 1, None, entry.idle, entry.attempts, payload)
            for entry, payload in zip(held, payloads, strict=False)
        ]
        return Page(rows, sum(count for _, count in holders))

    def reschedule(self, _connection: Connection, _action: Action, _members: Sequence[str]) -> int:
        return refuse("stream")

    def remaining_commands(self, until: float) -> list[Command]:
        return [
            ("XLEN", self._stream),
            ("XINFO", "GROUPS", self._stream),
            ("XPENDING", self._stream, self._group),
            ("ZCOUNT", keys.retries(self._stream, self._group), "-inf", until),
        ]

    def remaining(self, replies: Sequence[Reply]) -> Remaining:
        length, groups, pending, due = replies
        if not isinstance(length, int):
            raise refusal(str(length))
        waiting = length  # unless there is a group, which may have read some of it
        for group in _groups(groups):
            if group.get("name") == self._group.encode():
                waiting = number(group.get("lag")) or 0  # unknown only where entries were deleted
        in_flight = sum(count for name, count in _holders(pending) if name != WAITING)
        return Remaining(waiting, in_flight, number(due) or 0)

    def payloads(self, connection: Connection) -> list[bytes]:
        return parse(connection.call("XRANGE", self._stream, "-", "+")).payloads

    def _holders(self, connection: Connection) -> list[tuple[bytes, int]]:
        """How many entries each consumer has; empty if there is no such group."""
        (groups,) = connection.pipeline([("XINFO", "GROUPS", self._stream)])
        if self._group.encode() not in [group.get("name") for group in _groups(groups)]:
            return []
        return _holders(connection.call("XPENDING", self._stream, self._group))

    def _pending(self, connection: Connection, consumer: bytes, most: int) -> list[InFlight]:
        """The entries of one consumer, without their payloads."""
        (reply,) = connection.pipeline([("XPENDING", self._stream, self._group, "-", "+", most, consumer)])
        found = []
        for entry in reply if isinstance(reply, list) else []:
            match entry:
                case [bytes(entry_id), bytes(holder), int(idle), int(times)]:
                    name = holder.decode(errors="replace")
                    found.append(InFlight(entry_id.decode(), name, 1, None, idle / 1000, times, Excerpt()))
        return found


def _groups(reply: Reply) -> list[dict[str, Reply]]:
    return [fields(group) for group in reply] if isinstance(reply, list) else []


def _holders(reply: Reply) -> list[tuple[bytes, int]]:
    """How many entries each consumer has, from the summary of XPENDING."""
    match reply:
        case [_, _, _, list(holders)]:
            return [
                (name, count_of(count.decode(errors="replace"))) for holder in holders for name, count in pairs(holder)
            ]
    return []


def _count_pending(depth: Depth, reply: Reply) -> None:
    depth.in_flight = depth.scheduled = 0
    match reply:
        case [int(pending), *_]:
            depth.scheduled = sum(count for name, count in _holders(reply) if name == WAITING)
            depth.in_flight = max(0, pending - depth.scheduled)


def _created(reply: Reply) -> float | None:
    """When the first of these entries was added, by its id."""
    match reply:
        case [[bytes(entry_id), *_], *_]:
            return count_of(entry_id.split(b"-")[0].decode()) / 1000
    return None


def _utf8(name: Reply) -> str:
    try:
        return name.decode() if isinstance(name, bytes) else ""
    except UnicodeDecodeError:
        return ""


def _now(connection: Connection) -> float:
    match connection.call("TIME"):
        case [bytes(seconds), _]:
            return float(seconds)
    return 0.0
