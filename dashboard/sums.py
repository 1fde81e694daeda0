"""Adds up what instances counted, as of one moment, so that no sum contradicts another.

Reports are up to a second apart: with the newest of each, more would have been received than was sent. So what became
of messages is counted up to the last moment for which every sender is known, and what was sent at least up to then.
"""

from collections import Counter

from .instances import Instance, Instances
from .paths import SENDING, Counters, Path, share
from .reports import COUNTED

__all__ = ["Sums"]

_CLOCK_SECONDS = 0.25
"""By how much an instance may be wrong about Redis's clock."""
_REPORT_SECONDS = 1.0
_UNCHANGED_SECONDS = 1.5
"""After so long a report that has not been replaced says that nothing was sent meanwhile."""
_MOST_RATE = 20_000.0
"""Messages a second that a subscriber can believably have missed of senders that do not report."""


class Sums:
    """Of every path; no count ever falls."""

    def __init__(self) -> None:
        self._shown: dict[Path, Counters] = {}
        self._rising: dict[Path, Counters] = {}
        self._known: dict[tuple[str, Path], Counters] = {}
        self._since: float | None = None

    def of(self, path: Path, now: float, instances: Instances) -> Counters:
        """Totals to be shown, over all instances that ever ran."""
        mine = instances.on(path)
        known = _known_until(path, now, mine)
        total = share(instances.forgotten, path)
        for one in mine:
            sent = share(one.counts_after(known), path)
            then = share(one.counts_at(known), path)
            total.update({name: sent[name] if name in SENDING else then[name] for name in COUNTED})
        shown = self._shown.setdefault(path, Counter())
        for name in COUNTED:
            shown[name] = max(shown[name], total[name])
        return shown

    def missed(self, path: Path, now: float, instances: Instances) -> tuple[int, bool]:
        """Of pub/sub: how many messages subscribers missed, and whether that is certain.

        A gap is a difference of numbers, and a number can be forged: more than was sent cannot have been missed.
        """
        sent = instances.totals(path)["sent"]
        total = instances.totals(path)["unheard"] + share(instances.forgotten, path)["missed"]
        certain = True
        for one in instances.on(path):
            told = share(one.counts, path)["missed"]
            until = now if one.gone_at is None else one.gone_at
            most = sent or int(_MOST_RATE * max(1.0, until - one.latest.started))
            certain = certain and told <= most
            total += min(told, most)
        return total, certain

    def rising(self, path: Path, now: float, instances: Instances) -> Counters:
        """What was counted since this dashboard started: for counters that begin at 0 and only rise."""
        self._since = now if self._since is None else self._since
        mine = self._rising.setdefault(path, Counter())
        for one in instances.on(path):
            counts = share(one.counts, path)
            before = self._known.get((one.id, path))
            if before is None:
                before = counts if one.latest.started < self._since else Counter()
            mine.update({name: max(0, counts[name] - before[name]) for name in COUNTED})
            self._known[one.id, path] = Counter({name: max(counts[name], before[name]) for name in COUNTED})
        return mine

    def forget(self, instances: Instances) -> None:
        """Drop the counts of instances that are no longer remembered."""
        there = {one.id for one in instances}
        self._known = {key: counters for key, counters in self._known.items() if key[0] in there}


def _known_until(path: Path, now: float, instances: list[Instance]) -> float:
    """The last moment for which the counts of every sender there are known."""
    alive = [i for i in instances if i.gone_at is None and not i.silent]
    senders = [i for i in alive if not i.takes or share(i.counts, path)["sent"]]
    seen = [max(i.last_seen, now - _UNCHANGED_SECONDS) for i in senders]
    return min([*seen, now - _REPORT_SECONDS]) - _CLOCK_SECONDS
