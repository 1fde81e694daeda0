"""What is read from Redis for one snapshot: three round trips, some twenty-five commands, however much flows.

Nothing here walks over messages: lengths, the head of each queue (for its age), and the reports of the instances.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from townpost import Command, Connection, Reply, Settings, keys

from . import scripts
from .depths import Depth, Oldest, part
from .paths import Path, own_path
from .replies import bytes_of, floats, info
from .reports import MOST_BYTES, Report, read_report

__all__ = ["Reading", "read_all"]

_MOST_INSTANCES = 500
_SEEN_SECONDS = 60.0
"""An instance enters itself anew every ten."""


@dataclass(slots=True)
class Reading:
    """All of it."""

    now: float
    """By Redis's clock."""
    round_trip: float
    entered: dict[str, float]
    """Who has not said goodbye, by when they last entered themselves."""
    reports: dict[str, Report]
    connected: set[int] | None
    """Which of the connections asked for are there; None: not known."""
    depths: dict[Path, Depth]
    info: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0
    """What stands where a report should, and is none."""


def read_all(
    connection: Connection, settings: Settings, places: Iterable[Path], connections: Sequence[int], oldest: Oldest
) -> Reading:
    """One reading.

    Args:
        connection: connected.
        settings: name Redis, and the group that stands for a stream that has none.
        places: that are looked at.
        connections: client ids of instances, to be looked for.
        oldest: what the last reading found, brought up to date.

    Raises:
        UnavailableError, RefusedError
    """
    parts = [part(place, settings.consumer_group, oldest) for place in places]
    head: list[Command] = [
        ("TIME",),
        ("INFO",),
        scripts.names(keys.instances(), _MOST_INSTANCES),
        scripts.names(keys.ended(), _MOST_INSTANCES),
        ("CLIENT", "LIST", "ID", *connections) if connections else ("PING",),
    ]
    started = time.perf_counter()
    replies = connection.pipeline([*head, *(command for one in parts for command in one.commands)])
    round_trip = time.perf_counter() - started
    moment, about, entered, ended, clients = replies[: len(head)]
    at = len(head)
    for one in parts:
        one.take(replies[at : at + len(one.commands)])
        at += len(one.commands)
    now = _now(moment)
    all_entered = floats(entered)
    seen = [name for name, score in all_entered.items() if score > now - _SEEN_SECONDS]
    seen += [name for name in floats(ended) if name not in seen]
    second = [scripts.texts([keys.instance(name) for name in seen], MOST_BYTES)] if seen else []
    replies = connection.pipeline([*second, *(command for one in parts for command in one.more)])
    told = bytes_of(replies[0]) if seen else []
    reports = [report for text in told if (report := read_report(text, lambda name: own_path(settings, name)))]
    at = len(second)
    for one in parts:
        one.take_more(replies[at : at + len(one.more)])
        at += len(one.more)
    return Reading(
        now=now,
        round_trip=round_trip,
        entered=all_entered,
        reports={report.id: report for report in reports},
        connected=_connected(clients) if connections else set(),
        depths={path: depth for one in parts for path, depth in one.depths.items()},
        info=info(about),
        unreadable=len(told) - len(reports),
    )


def _now(reply: Reply) -> float:
    match reply:
        case [bytes(seconds), bytes(micros)]:
            return int(seconds) + int(micros) / 1e6
    return time.time()  # an ACL forbids it


def _connected(reply: Reply) -> set[int] | None:
    if not isinstance(reply, bytes):
        return None
    lines = reply.decode(errors="replace").splitlines()
    words = (line.split(" ", 1)[0].removeprefix("id=") for line in lines)
    return {int(word) for word in words if word.isascii() and word.isdecimal()}
