"""Messages that were sent since the dashboard started and are missing now: neither waiting nor received.

The reports of two processes are never of one moment, and neither is a queue's length. So the number of missing messages
is known within bounds only. At least: what was counted as sent by the moment the lengths were read, less what waited
then and what was received a second later. At most: what was counted as sent a second later, less what waited, and what
had been received by then. The least upper bound seen is the baseline: so many may have been missing from the start.
What exceeds it for certain is lost. The least of three looks counts, since a message in flight is missing for a moment.

Where messages are not redelivered, those that a subscriber had begun and not finished when it vanished are lost too,
though they were received; at most, as it may have finished them in its last second.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from townpost import PATTERNS, Depth

from .instances import Instance, Instances
from .paths import Counters, Path, share

__all__ = ["Losses"]

_LOOKS = 3
_LENGTHS = 12
_BATCH_SECONDS = 1.0
_CLOCK_SECONDS = 0.25
"""By how much an instance may be wrong about Redis's clock."""


class _Account:
    """One path's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._redelivers = PATTERNS[path.pattern].guarantees.redelivers
        self._lengths: deque[tuple[float, int]] = deque(maxlen=_LENGTHS)
        self._looks: deque[int] = deque(maxlen=_LOOKS)
        self._accounted: int | None = None
        """At most so many were missing at the start: the least bound since: a missing message never returns."""
        self._before = 0
        """What was lost before that."""
        self._vanished: dict[str, int] = {}
        """Instances that vanished, and how many messages each had begun and not finished."""
        self.disturbed = False
        """Set by the thread of a request that deleted messages on purpose."""
        self.lost = 0
        self.certain = True

    def _rebase(self) -> None:
        """Start again: what is missing now is accounted for."""
        self._lengths.clear()
        self._looks.clear()
        self._accounted = None
        self._before = self.lost

    def look(self, now: float, totals: Counters, depth: Depth, instances: Sequence[Instance]) -> None:
        if self.disturbed:
            self.disturbed = False
            self._rebase()
            return  # this may have been read before
        mine = list(instances)
        if self._note_vanished(mine):
            # the counts of its last second went with it; where messages come again, nothing else did
            self.certain = False
            if self._redelivers:
                self._rebase()
        if depth.depth is None or depth.estimated:
            return
        self._lengths.append((now, depth.depth + (depth.in_flight or 0) + (depth.scheduled or 0)))
        alive = [i for i in mine if i.gone_at is None]
        # what was taken is counted when it is handled, a batch of it a moment later; who only sent may be frozen
        reported = [i.last_seen for i in alive if not i.silent or share(i.counts, self._path)["received"]]
        latest = min(reported, default=now) - _BATCH_SECONDS
        known = [(at, length) for at, length in self._lengths if at <= latest]
        if not known:
            return
        moment, waiting = known[-1]
        self._looks.append(totals["sent"] - self._since(moment, mine, "sent") - waiting - self._done(totals))
        if not any(i.silent for i in alive):
            done = self._done(totals) - sum(self._since(moment, mine, count) for count in self._counted)
            most = totals["sent"] - waiting - done
            self._accounted = most if self._accounted is None else min(self._accounted, most)
        if self._accounted is not None and len(self._looks) == _LOOKS:
            self.lost = max(self.lost, self._before + min(self._looks) - self._accounted)

    @property
    def in_flight(self) -> int:
        """Messages that vanished instances had begun and not finished."""
        return sum(self._vanished.values())

    def _note_vanished(self, instances: Iterable[Instance]) -> bool:
        """Whether another instance vanished; one that is back had only lost its connection."""
        new = False
        for one in instances:
            if one.left != "vanished":
                self._vanished.pop(one.id, None)
            elif one.id not in self._vanished:
                new = True
                counts = share(one.counts, self._path)
                begun = 0 if self._redelivers else counts["received"] - counts["handled"] - counts["failed"]
                self._vanished[one.id] = max(0, begun)
        return new

    @property
    def _counted(self) -> tuple[str, str]:
        """The counts that say what became of a message."""
        return ("handled", "dead") if self._redelivers else ("received", "unreadable")

    def _done(self, totals: Counters) -> int:
        return sum(totals[count] for count in self._counted)

    def _since(self, moment: float, instances: Iterable[Instance], count: str) -> int:
        """How many of these were counted after a moment, or about then."""
        path, before = self._path, moment - _CLOCK_SECONDS
        return sum(share(i.counts, path)[count] - share(i.counts_at(before), path)[count] for i in instances)


class Losses:
    """Of all paths on which a message waits."""

    def __init__(self) -> None:
        self._accounts: dict[Path, _Account] = {}

    def rebase(self, place: Path) -> None:
        """Messages were deleted there on purpose."""
        for path, account in list(self._accounts.items()):
            if path.place == place:
                account.disturbed = True

    def of(self, path: Path, now: float, depth: Depth, instances: Instances) -> tuple[int, bool]:
        """How many, and whether that is certain."""
        account = self._accounts.setdefault(path, _Account(path))
        account.look(now, instances.totals(path), depth, instances.on(path))
        lost = account.lost + account.in_flight
        return lost, account.certain or not lost
