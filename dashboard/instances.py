"""Who is there, who was, and what they counted: the memory that outlives the reports on Redis.

A report is replaced every second and gone with its instance; the counts of the gone must stay in the sums. So each
instance is remembered with its last reports, for five minutes after it went, and its counts for good.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from dashboard.reading import Reading
from shared.counts import Counts

__all__ = ["COUNTED", "Instance", "Instances", "State", "Tally"]

State: TypeAlias = Literal["working", "idle", "wedged", "silent", "gone"]
Tally: TypeAlias = Counter[str]

COUNTED = tuple(f.name for f in fields(Counts) if f.type is int)

_FORGET_SECONDS = 300.0
_MEMORY_SECONDS = 12.0
_RATE_SECONDS = 2.5
_SILENT_SECONDS = 4.5
"""An idle instance reports every three."""
_SETTLE_SECONDS = 4.0
"""After an outage instances connect again in their own time."""
_BUSY_SECONDS = 2.0


@dataclass(slots=True)
class _Report:
    at: float
    counts: dict[str, Tally]
    buckets: dict[str, list[int]]


class Instance:
    """One process, as it told of itself."""

    def __init__(self, report: Mapping[str, object]) -> None:
        self.id = _text(report.get("id"))
        self.gone_at: float | None = None
        self.left: Literal["stopped", "vanished"] | None = None
        self.silent = False
        self.reports: deque[_Report] = deque()
        self.hear(report)

    def hear(self, report: Mapping[str, object]) -> None:
        """Take its newest report, which may be one that is known."""
        self.latest = report
        self.role = _text(report.get("role"))
        self.host = _text(report.get("host"))
        self.pid = _int(report.get("pid"))
        self.started = _float(report.get("started"))
        self.last_seen = _float(report.get("at"))
        self.client_id = _int(report.get("client_id")) or None
        self.pattern = _text(report.get("pattern"))
        self.standing = {name: _float(value) for name, value in _dict(report.get("idle_seconds")).items()}
        self.stall_seconds = _float(report.get("stall_seconds")) or 30.0
        if not self.reports or self.reports[-1].at < self.last_seen:
            patterns = {name: _dict(value) for name, value in _dict(report.get("patterns")).items()}
            self.reports.append(
                _Report(
                    self.last_seen,
                    {name: Counter({key: _int(value.get(key)) for key in COUNTED}) for name, value in patterns.items()},
                    {name: _buckets(value) for name, value in patterns.items()},
                )
            )
        while len(self.reports) > 1 and self.reports[1].at < self.last_seen - _MEMORY_SECONDS:
            self.reports.popleft()

    @property
    def counts(self) -> dict[str, Tally]:
        """By pattern."""
        return self.reports[-1].counts

    def state(self, now: float) -> State:
        if self.gone_at is not None:
            return "gone"
        if self.silent:
            return "silent"
        if any(seconds > self.stall_seconds for seconds in self.standing.values()):
            return "wedged"
        busy = any(seconds > _BUSY_SECONDS for seconds in self.standing.values())
        return "working" if busy or any(sum(rate.values()) for rate in self.rates(now).values()) else "idle"

    def rates(self, now: float) -> dict[str, dict[str, float]]:
        """Per second, by pattern and name of the count."""
        last = self.reports[-1]
        before = self._before(max(last.at, now - 1) - _RATE_SECONDS)
        if self.gone_at is not None or before is last:
            return {}
        # an unchanged report may be three seconds old: then nothing happened meanwhile
        seconds = max(last.at, now - 1) - before.at
        return {
            name: {
                key: max(0, value - before.counts.get(name, Counter())[key]) / seconds for key, value in mine.items()
            }
            for name, mine in last.counts.items()
        }

    def recent_buckets(self, now: float) -> dict[str, list[int]]:
        """How many messages fell into each bucket of latency in the last ten seconds, by pattern."""
        last = self.reports[-1]
        before = self._before(now - _MEMORY_SECONDS)
        if before is last:
            return {}
        return {
            name: [max(0, a - b) for a, b in zip(mine, before.buckets.get(name, [0] * len(mine)), strict=False)]
            for name, mine in last.buckets.items()
        }

    def counts_at(self, moment: float) -> dict[str, Tally]:
        """As far as they were reported then; empty before its first report."""
        report = self._before(moment)
        return report.counts if report.at <= moment else {}

    def _before(self, moment: float) -> _Report:
        """The newest report that is no younger; the oldest we have if there is none."""
        found = self.reports[0]
        for report in self.reports:
            if report.at > moment:
                break
            found = report
        return found


class Instances:
    """All that were ever seen here."""

    def __init__(self) -> None:
        self._known: dict[str, Instance] = {}
        self._forgotten: dict[str, Tally] = {}
        self._settled_at = 0.0

    def __iter__(self) -> Iterator[Instance]:
        return iter(sorted(self._known.values(), key=lambda i: (i.gone_at is not None, i.role, i.started, i.id)))

    @property
    def connections(self) -> list[int]:
        """Client ids to be looked for."""
        return [i.client_id for i in self._known.values() if i.gone_at is None and i.client_id is not None]

    def disturbed(self) -> None:
        """Redis was away: nobody's connection is what it was."""
        if self._known:
            self._settled_at = float("inf")

    def update(self, reading: Reading) -> None:
        now = reading.now
        if self._settled_at == float("inf"):
            self._settled_at = now + _SETTLE_SECONDS
        asked = {i.id: i.client_id for i in self._known.values() if i.gone_at is None}
        for name, report in reading.reports.items():
            if (known := self._known.get(name)) is None:
                self._known[name] = Instance(report)
            else:
                known.hear(report)
        for instance in self._known.values():
            self._judge(instance, reading, asked.get(instance.id))
        for name in [i.id for i in self._known.values() if i.gone_at is not None and i.gone_at < now - _FORGET_SECONDS]:
            for pattern, tally in self._known.pop(name).counts.items():
                self._forgotten.setdefault(pattern, Counter()).update(tally)

    def _judge(self, instance: Instance, reading: Reading, asked: int | None) -> None:
        """Whether it is gone: it said so, or its connection is closed, or its report has run out."""
        now = reading.now
        if instance.latest.get("ended") is True:
            instance.gone_at, instance.left, instance.silent = instance.last_seen, "stopped", False
            return
        fresh = instance.id in reading.reports
        entered = instance.id in reading.entered
        stale = now - instance.last_seen > _SILENT_SECONDS
        # only a connection that was asked for, and that it has not replaced since, says anything
        known = reading.connected is not None and asked is not None and asked == instance.client_id
        closed = known and asked not in (reading.connected or ()) and now > self._settled_at
        if instance.gone_at is not None and (not fresh or closed or stale):
            return
        connected = known and asked in (reading.connected or ())
        instance.silent = stale and (connected or fresh)
        if not entered and not fresh:
            gone, instance.left = True, "stopped"
        else:
            gone, instance.left = closed or (not fresh and not connected), "vanished"
        if gone and now > self._settled_at:
            instance.gone_at = now
        else:
            instance.gone_at, instance.left = None, None

    def totals(self, pattern: str) -> Tally:
        """Over all there were."""
        total: Tally = Counter(self._forgotten.get(pattern, {}))
        for instance in self._known.values():
            total.update(instance.counts.get(pattern, {}))
        return total

    def patterns(self) -> Collection[str]:
        """Used by anyone alive."""
        return {name for i in self._known.values() if i.gone_at is None for name in i.counts}


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""


def _int(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**63 else 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else 0.0  # noqa: PLR2004 - in time


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _buckets(counts: Mapping[str, object]) -> list[int]:
    found = _dict(counts.get("latency_ms")).get("buckets")
    return [_int(count) for count in found[:64]] if isinstance(found, list) else []
