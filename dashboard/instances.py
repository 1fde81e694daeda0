"""The instances that run or ran, and what they counted: this memory outlives the reports on Redis.

A report is replaced every second and ends with its instance, but the counts must stay in the sums. So each instance is
remembered with its last reports, for five minutes after it ended, and its counts for good.
"""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Literal, TypeAlias

from .collector import Collected
from .paths import Counters, Path, share
from .reports import Report

__all__ = ["BUSY_SECONDS", "Instance", "Instances", "State"]

State: TypeAlias = Literal["working", "idle", "stalled", "silent", "gone"]

_FORGET_SECONDS = 300.0
_MEMORY_SECONDS = 12.0
_RATE_SECONDS = 2.5
_SILENT_SECONDS = 4.5
"""An idle instance reports every three."""
_SETTLE_SECONDS = 4.0
"""After an outage instances connect again in their own time."""
BUSY_SECONDS = 2.0
_MOST_KNOWN = 2_000
"""A bound: any client can write reports."""


class Instance:
    """One process, as its reports describe it."""

    def __init__(self, report: Report) -> None:
        self.id = report.id
        self.gone_at: float | None = None
        self.left: Literal["stopped", "vanished"] | None = None
        self.silent = False
        self.reports: deque[Report] = deque()
        self.add(report)

    def add(self, report: Report) -> None:
        """Take its newest report, which may be one that is known."""
        self.latest = report
        self.last_seen = report.at
        self.stall_seconds = report.stall_seconds or 30.0
        if not self.reports or self.reports[-1].at < report.at:
            self.reports.append(report)
        while len(self.reports) > 1 and self.reports[1].at < report.at - _MEMORY_SECONDS:
            self.reports.popleft()

    @property
    def role(self) -> str:
        return self.latest.role

    @property
    def client_id(self) -> int | None:
        return self.latest.client_id or None

    @property
    def takes(self) -> bool:
        """Whether it is a consumer, by what it is or by what it did."""
        return self.role == "subscriber" or any(
            counters["received"] or counters["unreadable"] for counters in self.counts.values()
        )

    @property
    def counts(self) -> dict[Path, Counters]:
        return self.reports[-1].counts

    def state(self, now: float) -> State:
        if self.gone_at is not None:
            return "gone"
        if self.silent:
            return "silent"
        if any(seconds > self.stall_seconds for seconds in self.latest.idle_seconds.values()):
            return "stalled"
        busy = any(seconds > BUSY_SECONDS for seconds in self.latest.idle_seconds.values())
        return "working" if busy or any(sum(rate.values()) for rate in self.rates(now).values()) else "idle"

    def rates(self, now: float) -> dict[Path, dict[str, float]]:
        """Per second, by path and name of the count."""
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

    def recent_buckets(self, now: float) -> dict[Path, list[int]]:
        """How many messages fell into each bucket of latency in the last ten seconds."""
        last = self.reports[-1]
        before = self._before(now - _MEMORY_SECONDS)
        if before is last:
            return {}
        return {
            name: [max(0, a - b) for a, b in zip(mine, before.buckets.get(name, [0] * len(mine)), strict=False)]
            for name, mine in last.buckets.items()
        }

    def counts_at(self, moment: float) -> dict[Path, Counters]:
        """As far as they were reported then; empty before its first report."""
        report = self._before(moment)
        return report.counts if report.at <= moment else {}

    def counts_after(self, moment: float) -> dict[Path, Counters]:
        """By the first report that knows of all that was before then; the last one if there is none."""
        return next((report.counts for report in self.reports if report.at >= moment), self.counts)

    def _before(self, moment: float) -> Report:
        """The newest report that is no younger; the oldest we have if there is none."""
        found = self.reports[0]
        for report in self.reports:
            if report.at > moment:
                break
            found = report
        return found


class Instances:
    """All that this dashboard has seen."""

    def __init__(self) -> None:
        self._known: dict[str, Instance] = {}
        self.forgotten: dict[Path, Counters] = {}
        """The counts of instances that are no longer remembered."""
        self._settled_at = 0.0

    def __iter__(self) -> Iterator[Instance]:
        return iter(sorted(self._known.values(), key=lambda i: (i.gone_at is not None, i.role, i.latest.started, i.id)))

    @property
    def connections(self) -> list[int]:
        """Client ids to be looked for."""
        return [i.client_id for i in self._known.values() if i.gone_at is None and i.client_id is not None]

    def disturbed(self) -> None:
        """Redis was away: every instance has to connect anew."""
        if self._known:
            self._settled_at = float("inf")

    def update(self, collected: Collected) -> None:
        now = collected.now
        if self._settled_at == float("inf"):
            self._settled_at = now + _SETTLE_SECONDS
        asked = {i.id: i.client_id for i in self._known.values() if i.gone_at is None}
        for name, report in collected.reports.items():
            if (known := self._known.get(name)) is None:
                self._known[name] = Instance(report)
            else:
                known.add(report)
        for instance in self._known.values():
            self._judge(instance, collected, asked.get(instance.id))
        gone = sorted((i for i in self._known.values() if i.gone_at is not None), key=lambda i: i.gone_at or 0.0)
        old = [i for i in gone if (i.gone_at or 0.0) < now - _FORGET_SECONDS]
        for instance in old or gone[: max(0, len(self._known) - _MOST_KNOWN)]:
            for path, counters in self._known.pop(instance.id).counts.items():
                self.forgotten.setdefault(path, Counter()).update(counters)

    def _judge(self, instance: Instance, collected: Collected, asked: int | None) -> None:
        """Decide whether it is gone: it reported its end, its connection is closed, or its report has expired."""
        now = collected.now
        if instance.latest.ended:
            instance.gone_at, instance.left, instance.silent = instance.last_seen, "stopped", False
            return
        fresh = instance.id in collected.reports
        entered = instance.id in collected.entered
        stale = now - instance.last_seen > _SILENT_SECONDS
        # only a connection that was asked for, and that it has not replaced since, says anything
        known = collected.connected is not None and asked is not None and asked == instance.client_id
        closed = known and asked not in (collected.connected or ()) and now > self._settled_at
        if instance.gone_at is not None and (not fresh or closed or stale):
            return
        connected = known and asked in (collected.connected or ())
        instance.silent = stale and (connected or fresh)
        if not entered and not fresh:
            gone, instance.left = True, "stopped"
        else:
            gone, instance.left = closed or (not fresh and not connected), "vanished"
        if gone and now > self._settled_at:
            instance.gone_at = now
        else:
            instance.gone_at, instance.left = None, None

    def totals(self, path: Path) -> Counters:
        """Over all instances, each as of its last report."""
        total = share(self.forgotten, path)
        for instance in self._known.values():
            total.update(share(instance.counts, path))
        return total

    def on(self, path: Path) -> list[Instance]:
        """The instances that send there, or take in its group."""
        return [i for i in self if any(_is_on(other, path, i) for other in i.counts)]

    @property
    def places(self) -> list[Path]:
        """Places that a remembered instance uses, those of running instances first."""
        return list(dict.fromkeys(path.place for instance in self for path in instance.counts))


def _is_on(other: Path, path: Path, instance: Instance) -> bool:
    return other == path or (other.place == path.place and not instance.takes)
