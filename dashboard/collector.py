"""What is read from Redis for one snapshot: three round trips, some twenty-five commands, however much flows.

Lengths, the first message of each queue (for its age), and the reports of the instances: no read walks over messages.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from townpost import Command, Connection, Depth, Inspector, Query, Question, Reply, Settings, ask, inspector, keys

from . import scripts
from .paths import Path, own_path
from .replies import bytes_of, floats, info
from .reports import MOST_BYTES, Report, read_report

__all__ = ["Collected", "Collector"]

_MOST_INSTANCES = 500
_SEEN_SECONDS = 60.0
"""An instance enters itself anew every ten."""


@dataclass(slots=True)
class Collected:
    """All of it."""

    now: float
    """By Redis's clock."""
    round_trip: float
    entered: dict[str, float]
    """Ids of instances that have not ended, by when they last entered themselves."""
    reports: dict[str, Report]
    connected: set[int] | None
    """Which of the connections asked for are there; None: not known."""
    depths: dict[Path, Depth]
    info: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0
    """How many values stand where a report should, and are none."""


class Collector:
    """Keeps an inspector for each place from look to look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inspectors: dict[Path, Inspector] = {}

    def collect(self, connection: Connection, places: Iterable[Path], clients: Sequence[int]) -> Collected:
        """Look once.

        Args:
            connection: connected.
            places: that are looked at.
            clients: ids of the connections of instances, to be looked for.

        Raises:
            UnavailableError, RefusedError
        """
        self._inspectors = {place: self._inspectors.get(place) or self._inspector(place) for place in places}
        instances = Question(self._instances(clients))
        depths = {place: Question(one.depths()) for place, one in self._inspectors.items()}
        ask(connection, [instances, *depths.values()])
        collected = instances.answer
        for place, question in depths.items():
            collected.depths |= {place._replace(group=group): depth for group, depth in question.answer.items()}
        return collected

    def _inspector(self, place: Path) -> Inspector:
        settings = self._settings
        return inspector(place.pattern, place.name, group=settings.consumer_group, lease_seconds=settings.lease_seconds)

    def _instances(self, clients: Sequence[int]) -> Query[Collected]:
        """All but the depths."""
        started = time.perf_counter()
        moment, about, entered, ended, connected = yield [
            ("TIME",),
            ("INFO",),
            scripts.names(keys.instances(), _MOST_INSTANCES),
            scripts.names(keys.ended(), _MOST_INSTANCES),
            ("CLIENT", "LIST", "ID", *clients) if clients else ("PING",),
        ]
        round_trip = time.perf_counter() - started
        now = _now(moment)
        all_entered = floats(entered)
        seen = [name for name, score in all_entered.items() if score > now - _SEEN_SECONDS]
        seen += [name for name in floats(ended) if name not in seen]
        reading: list[Command] = [scripts.texts([keys.instance(name) for name in seen], MOST_BYTES)] if seen else []
        replies = yield reading
        texts = bytes_of(replies[0]) if seen else []
        own = self._own_path
        reports = [report for text in texts if (report := read_report(text, own))]
        return Collected(
            now=now,
            round_trip=round_trip,
            entered=all_entered,
            reports={report.id: report for report in reports},
            connected=_connected(connected) if clients else set(),
            depths={},
            info=info(about),
            unreadable=len(texts) - len(reports),
        )

    def _own_path(self, pattern: str) -> Path:
        return own_path(self._settings, pattern)


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
