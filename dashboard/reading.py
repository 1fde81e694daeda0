"""What is read from Redis for one snapshot: three round trips, some twenty-five commands, however much flows.

Nothing here walks over messages: lengths, the head of each queue (for its age), and the reports of the instances.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dashboard.replies import bytes_of, fields, floats, info, number, pairs
from shared import keys
from shared.connection import Link, Reply
from shared.errors import UnreadableError
from shared.message import MAX_MESSAGE_BYTES, read
from shared.patterns.contract import Command
from shared.settings import Settings

__all__ = ["Depth", "Reading", "read_all"]

_MOST_INSTANCES = 500
_SEEN_SECONDS = 60.0
"""An instance enters itself anew every ten."""
_CLAIMS = 12
"""So many claims are counted; of more, an estimate."""
_RETRIES = b"waiting"
"""The consumer that stands for retries of the stream."""


@dataclass(slots=True)
class Depth:
    """One pattern now."""

    depth: int | None = None
    oldest: float | None = None
    """When the oldest waiting message was created."""
    in_flight: int | None = None
    scheduled: int | None = None
    dead: int | None = None
    stored: int | None = None
    listeners: int | None = None
    estimated: bool = False
    """Whether there were too many claims to count."""
    group: bool = True
    """Whether the consumer group exists (stream)."""


@dataclass(slots=True)
class Reading:
    """All of it."""

    now: float
    """By Redis's clock."""
    round_trip: float
    entered: dict[str, float]
    """Who has not said goodbye, by when they last entered themselves."""
    reports: dict[str, dict[str, object]]
    connected: set[int] | None
    """Which of the connections asked for are there; None: not known."""
    depths: dict[str, Depth]
    info: dict[str, str] = field(default_factory=dict)


def read_all(link: Link, settings: Settings, names: Iterable[str], connections: Sequence[int]) -> Reading:
    """One reading.

    Args:
        link: connected.
        settings: name the keys.
        names: of the active patterns.
        connections: client ids of instances, to be looked for.

    Raises:
        UnavailableError, RefusedError
    """
    parts = {name: _PARTS[name](settings) for name in names}
    head: list[Command] = [
        ("TIME",),
        ("INFO",),
        ("ZREVRANGE", keys.instances(), 0, _MOST_INSTANCES - 1, "WITHSCORES"),
        ("ZREVRANGE", keys.ended(), 0, _MOST_INSTANCES - 1),
        ("CLIENT", "LIST", "ID", *connections) if connections else ("PING",),
    ]
    started = time.perf_counter()
    replies = link.pipeline([*head, *(command for part in parts.values() for command in part.commands)])
    round_trip = time.perf_counter() - started
    moment, about, entered, ended, clients = replies[: len(head)]
    at = len(head)
    for part in parts.values():
        part.take(replies[at : at + len(part.commands)])
        at += len(part.commands)
    now = _now(moment)
    all_entered = floats(entered)
    seen = [name for name, score in all_entered.items() if score > now - _SEEN_SECONDS]
    seen += [name.decode(errors="replace") for name in bytes_of(ended)]
    second: list[Command] = [("MGET", *map(keys.instance, seen))] if seen else []
    replies = link.pipeline([*second, *(command for part in parts.values() for command in part.more)])
    reports = _reports(replies[0] if seen else None)
    at = len(second)
    for part in parts.values():
        part.take_more(replies[at : at + len(part.more)])
        at += len(part.more)
    return Reading(
        now=now,
        round_trip=round_trip,
        entered=all_entered,
        reports=reports,
        connected=_connected(clients) if connections else set(),
        depths={name: part.depth for name, part in parts.items()},
        info=info(about),
    )


def _now(reply: Reply) -> float:
    match reply:
        case [bytes(seconds), bytes(micros)]:
            return int(seconds) + int(micros) / 1e6
    return time.time()  # an ACL forbids it


def _reports(reply: Reply) -> dict[str, dict[str, object]]:
    """By instance; anyone can write there, so what is no report is passed over."""
    found = {}
    for text in bytes_of(reply):
        with contextlib.suppress(ValueError, RecursionError):
            report = json.loads(text)
            if isinstance(report, dict) and isinstance(report.get("id"), str):
                found[report["id"]] = report
    return found


def _connected(reply: Reply) -> set[int] | None:
    if not isinstance(reply, bytes):
        return None
    lines = reply.decode(errors="replace").splitlines()
    words = (line.split(" ", 1)[0].removeprefix("id=") for line in lines)
    return {int(word) for word in words if word.isdecimal()}


def _created(payload: bytes | None) -> float | None:
    if payload is None:
        return None
    try:
        return read(payload, MAX_MESSAGE_BYTES).timestamp.timestamp()
    except (UnreadableError, OverflowError, ValueError):
        return None


class _Part:
    """The commands for one pattern, and what their replies mean."""

    commands: list[Command]

    def __init__(self) -> None:
        self.depth = Depth()
        self.more: list[Command] = []
        """Known only from the first replies."""

    def take(self, replies: Sequence[Reply]) -> None:
        raise NotImplementedError

    def take_more(self, replies: Sequence[Reply]) -> None:
        """None of them by default."""


class _Pubsub(_Part):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        glob = any(c in settings.channel for c in "*?[")
        self.commands = [("PUBSUB", "NUMPAT") if glob else ("PUBSUB", "NUMSUB", settings.channel)]

    def take(self, replies: Sequence[Reply]) -> None:
        match replies[0]:
            case [_, int(listeners)] | int(listeners):
                self.depth.listeners = listeners


class _Queue(_Part):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.commands = [("LLEN", settings.queue), ("LINDEX", settings.queue, 0)]

    def take(self, replies: Sequence[Reply]) -> None:
        self.depth.depth = number(replies[0])
        head = replies[1]
        self.depth.oldest = _created(head) if isinstance(head, bytes) else None


class _Reliable(_Part):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        q = settings.reliable_queue
        self.commands = [
            ("LLEN", q),
            ("LLEN", keys.handoff(q)),
            ("ZCARD", keys.priority(q)),
            ("LLEN", keys.suspects(q)),
            ("ZCARD", keys.scheduled(q)),
            ("XLEN", keys.dead(q)),
            ("LINDEX", q, 0),
            ("ZCARD", keys.leases(q)),
            ("ZRANGE", keys.leases(q), 0, _CLAIMS - 1),
        ]
        self._claims = 0

    def take(self, replies: Sequence[Reply]) -> None:
        waiting = [number(reply) for reply in replies[:4]]
        self.depth.depth = None if waiting[0] is None else sum(count or 0 for count in waiting)
        self.depth.scheduled, self.depth.dead = number(replies[4]), number(replies[5])
        head = replies[6]
        self.depth.oldest = _created(head) if isinstance(head, bytes) else None
        self._claims = number(replies[7]) or 0
        self.more = [("LLEN", claim) for claim in bytes_of(replies[8])]
        self.depth.in_flight = 0 if number(replies[7]) is not None else None

    def take_more(self, replies: Sequence[Reply]) -> None:
        lengths = [length for reply in replies if (length := number(reply)) is not None]
        if lengths:
            self.depth.estimated = self._claims > len(lengths)
            self.depth.in_flight = round(sum(lengths) * max(1.0, self._claims / len(lengths)))


class _Stream(_Part):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._stream, self._group = settings.stream, settings.consumer_group.encode()
        self.commands = [
            ("XLEN", self._stream),
            ("XINFO", "GROUPS", self._stream),
            ("XPENDING", self._stream, self._group),
            ("XLEN", keys.dead(self._stream)),
        ]

    def take(self, replies: Sequence[Reply]) -> None:
        length, groups, pending, dead = replies
        depth = self.depth
        depth.stored, depth.dead = number(length), number(dead)
        all_groups = map(fields, groups if isinstance(groups, list) else [])
        group = next((g for g in all_groups if g.get("name") == self._group), None)
        depth.group = group is not None
        last: bytes | str = "-"
        if group is None:
            depth.depth = depth.stored
        else:
            depth.depth = number(group.get("lag"))
            name = group.get("last-delivered-id")
            last = b"(" + name if isinstance(name, bytes) else "-"
        depth.in_flight = depth.scheduled = 0
        match pending:
            case [int(held), _, _, holders]:
                retries = sum(
                    int(count)
                    for holder in (holders if isinstance(holders, list) else [])
                    for name, count in pairs(holder)
                    if name == _RETRIES
                )
                depth.scheduled, depth.in_flight = retries, held - retries
        self.more = [("XRANGE", self._stream, last, "+", "COUNT", 1)]

    def take_more(self, replies: Sequence[Reply]) -> None:
        match replies[0]:
            case [[bytes(entry_id), *_], *_]:
                self.depth.oldest = int(entry_id.split(b"-")[0]) / 1000


_PARTS: dict[str, Callable[[Settings], _Part]] = {
    "pubsub": _Pubsub,
    "queue": _Queue,
    "reliable": _Reliable,
    "stream": _Stream,
}
