"""What was sent since we watch and is nowhere to be found.

The reports of two processes are never of one moment, and neither is a queue's length. So three moments are taken in
this order: what was counted as sent, then what is waiting, then what was counted as received. Whatever was sent by the
first is waiting at the second, or was received by the third, or is astray. The least of three such looks counts: what a
consumer has just in hand passes by.
"""

from collections import Counter, deque
from collections.abc import Sequence

from dashboard.instances import Instance, Instances, Tally
from dashboard.reading import Depth
from shared.patterns import PATTERNS

__all__ = ["Losses"]

_LOOKS = 3
_LENGTHS = 12
_BATCH_SECONDS = 1.0


class _Path:
    """One pattern's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._redelivers = PATTERNS[name].guarantees.redelivers
        self._lengths: deque[tuple[float, int]] = deque(maxlen=_LENGTHS)
        self._looks: deque[int] = deque(maxlen=_LOOKS)
        self._accounted: int | None = None
        """What was astray when we began."""
        self._vanished: set[str] = set()
        self.lost = 0
        self.certain = True

    def rebase(self) -> None:
        """From here on: what is astray now is accounted for."""
        self._looks.clear()
        self._accounted = None

    def look(self, now: float, totals: Tally, depth: Depth, instances: Sequence[Instance]) -> None:
        mine = [i for i in instances if self._name in i.counts]
        vanished = {i.id for i in mine if i.left == "vanished"} - self._vanished
        if vanished:
            # the counts of its last second went with it; where messages come again, nothing else did
            self._vanished |= vanished
            self.certain = False
            if self._redelivers:
                self.rebase()
        if depth.depth is None or depth.estimated:
            return
        self._lengths.append((now, depth.depth + (depth.in_flight or 0) + (depth.scheduled or 0)))
        heard = [i.last_seen for i in mine if i.gone_at is None and i.counts[self._name]["received"]]
        # what was taken is counted when it is handled, a batch of it a moment later
        latest = min(heard, default=now + _BATCH_SECONDS) - _BATCH_SECONDS
        known = [(at, length) for at, length in self._lengths if at <= latest]
        if not known:
            return
        moment, waiting = known[-1]
        later = sum(i.counts[self._name]["sent"] - i.counts_at(moment).get(self._name, Counter())["sent"] for i in mine)
        done = totals["handled"] + totals["dead"] if self._redelivers else totals["received"] + totals["unreadable"]
        self._looks.append(totals["sent"] - later - waiting - done)
        if len(self._looks) < _LOOKS:
            return
        if self._accounted is None:
            self._accounted = max(self._looks) - self.lost
        self.lost = max(self.lost, min(self._looks) - self._accounted)


class Losses:
    """Of all patterns."""

    def __init__(self) -> None:
        self._paths: dict[str, _Path] = {}

    def rebase(self, name: str) -> None:
        """Somebody deleted messages on purpose."""
        if name in self._paths:
            self._paths[name].rebase()

    def of(self, name: str, now: float, depth: Depth, instances: Instances) -> tuple[int, bool]:
        """How many, and whether that is certain."""
        totals = instances.totals(name)
        if PATTERNS[name].guarantees.fan_out:
            return totals["missed"] + totals["unheard"], True
        path = self._paths.setdefault(name, _Path(name))
        path.look(now, totals, depth, list(instances))
        return path.lost, path.certain or not path.lost
