"""waiting: handlers that wait for something else, many at a time in one process.

``of the ideal`` is the rate over that of workers that lose no time: 50 at a time with 20 ms each make 2,500 a second,
1,000 at a time with 100 ms make 10,000. ``in flight`` is the most that ever were; more than were asked for is a
failure. A peer takes part in its best setting, with plain handlers, async ones or both; the thousand are async.
"""

from collections.abc import Mapping

from lab.bench.child import FailedError
from lab.bench.contestants import Contestant, at_work, townpost
from lab.bench.figures import Figure
from lab.bench.ground import Ground
from lab.bench.measures.drain import Checked, filled
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["FIFTY", "THOUSAND", "measure"]

FIFTY, THOUSAND = "waiting, 50 x 20 ms", "waiting, 1,000 x 100 ms"
_SETTINGS = {
    FIFTY: (50, 0.02, ("queue", "reliable", "stream"), ("threads", "async")),
    THOUSAND: (1_000, 0.1, ("reliable",), ("async",)),
}
_SECONDS = 4.0
_ROUNDS = 2
_PEERS_SHARE = 0.4
"""None of them comes near the ideal, and most are slow to publish."""
_QUANTITIES = (
    Quantity("of the ideal", "share"),
    Quantity("memory", "MiB", more_is_better=False),
    Quantity("in flight", "at most", more_is_better=False),
)


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    figures = []
    for name, (at_once, seconds, patterns, kinds) in _SETTINGS.items():
        peers = [peer for peer in extent.peers if peer.missing or peer.name.endswith("tuned")]
        contestants = [
            at_work(contestant, f"wait {seconds}", kind, at_once)
            for contestant in (*(townpost(pattern) for pattern in patterns), *peers)
            for kind in kinds
            if kind in contestant.handlers
        ]
        figures += rotate(
            name, _QUANTITIES, contestants, min(extent.rounds, _ROUNDS), _Waiting(ground, extent, at_once, seconds),
            ground=ground, say=extent.say,
        )  # fmt: skip
    return figures


class _Waiting:
    def __init__(self, ground: Ground, extent: Extent, at_once: int, seconds: float) -> None:
        self._ground = ground
        self._checked = Checked(ground)
        self._at_once = at_once
        self._ideal = at_once / seconds
        self._messages = extent.messages(int(_SECONDS * self._ideal), least=6 * at_once)

    def __call__(self, contestant: Contestant) -> Mapping[str, float]:
        ground = self._ground
        self._checked(contestant)
        count = int(self._messages * (_PEERS_SHARE if contestant.python else 1))
        filled(ground, contestant, count)
        child = ground.consumer(contestant)
        rate = ground.timed(count, child, within=_SECONDS).rate
        most = ground.tally.most_in_flight
        if most > self._at_once:
            raise FailedError(f"had {most} in flight where {self._at_once} were asked for")
        return {"of the ideal": rate / self._ideal, "memory": child.peak_bytes() / 2**20, "in flight": most}
