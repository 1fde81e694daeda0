"""drain: the queue is full before the consumer starts.

Time runs from the first handled message that the bench sees to the last, so that the start of an interpreter does
not count. The same run gives the CPU time of the consumer and of Redis, and the consumer's peak memory. Those who
only print are watched by the length of their queue; one batch of them may still be in hand at the end.
"""

import time
from collections.abc import Mapping

from lab.bench.child import FailedError
from lab.bench.contestants import LIMIT, Contestant, against, drainers
from lab.bench.figures import Figure
from lab.bench.ground import KEYS, Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["Checked", "filled", "measure"]

_AT_MOST = "at most once"
_MESSAGES = 60_000
_CHECKED = 300
_SECONDS = 60.0
_TWICE_SECONDS = 0.15
"""How long we wait for a message to come a second time."""

_QUANTITIES = (
    Quantity("drain", "msg/s"),
    Quantity("CPU", "s per 100,000", more_is_better=False),
    Quantity("Redis CPU", "s per 100,000", more_is_better=False),
    Quantity("peak RSS", "MiB", more_is_better=False),
)


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    """Each contestant is first checked on a few messages: each of them handled, once."""
    peers = [peer for peer in extent.peers if peer.pattern != "pubsub"]
    once = [peer for peer in peers if peer.promise.startswith(_AT_MOST)]
    settled = [peer for peer in peers if peer not in once]
    contestants = [*drainers(), *against(LIMIT["queue"], once), *against(LIMIT["reliable"], settled)]
    checked = Checked(ground)

    def run(contestant: Contestant) -> Mapping[str, float]:
        checked(contestant)
        return _drained(ground, contestant, extent.messages(int(_MESSAGES * contestant.share)))

    return rotate("drain", _QUANTITIES, contestants, extent.rounds, run, ground=ground, say=extent.say)


def filled(ground: Ground, contestant: Contestant, count: int, size: int = 0) -> None:
    """Its queue, by us if that is plain messages, or by its own publisher."""
    if contestant.pattern:
        ground.fill(contestant.pattern, count, size)
    else:
        module = (*contestant.publisher, str(count), "100", "0")
        ground.run(module, seconds=_SECONDS, python=contestant.python)
        ground.tally.reset()


class Checked:
    """Whether a contestant really handles what is there; looked at once for each of them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._known: set[str] = set()

    def __call__(self, contestant: Contestant) -> None:
        """Leaves a clear ground.

        Raises:
            FailedError: it lost some, or handled some twice.
        """
        ground = self._ground
        if contestant.name in self._known or contestant.uncounted:
            return
        filled(ground, contestant, _CHECKED)
        child = ground.consumer(contestant, mode="check")
        ground.reach(_CHECKED, child)
        time.sleep(_TWICE_SECONDS)
        total, numbers = ground.tally.total, ground.tally.sum
        if total != _CHECKED or numbers != _CHECKED * (_CHECKED + 1) // 2:
            raise FailedError(f"handled {total:,} where {_CHECKED:,} were sent (sum of their numbers {numbers:,})")
        self._known.add(contestant.name)
        ground.clear()


def _drained(ground: Ground, contestant: Contestant, count: int) -> Mapping[str, float]:
    filled(ground, contestant, count)

    def gone() -> int:
        left = ground.connection.call("LLEN", KEYS[contestant.pattern])
        return count - left if isinstance(left, int) else 0

    costs: list[float] = []

    def at_first() -> None:
        costs.extend((child.cpu_seconds(), ground.server_cpu()))

    child = ground.consumer(contestant)
    span = ground.timed(count, child, progress=gone if contestant.uncounted else None, at_first=at_first)
    cpu, server_cpu = costs
    per = 100_000 / span.messages
    return {
        "drain": span.rate,
        "CPU": (child.cpu_seconds() - cpu) * per,
        "Redis CPU": (ground.server_cpu() - server_cpu) * per,
        "peak RSS": child.peak_bytes() / 2**20,
    }
