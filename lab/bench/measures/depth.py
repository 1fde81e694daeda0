"""depth: the first 20,000 messages of a queue that holds so many more, and must not make them dearer."""

from collections.abc import Mapping

from lab.bench.contestants import LIMIT, Contestant, against, limit, naive, townpost
from lab.bench.figures import Figure
from lab.bench.ground import Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["DEPTHS", "measure"]

DEPTHS = (1_000, 30_000, 1_000_000)
_TIMED = 20_000
_UNIQUE = 100_000


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    figures = []
    ours = [townpost(pattern) for pattern in ("queue", "reliable", "stream")]
    contestants = [naive(), limit("queue"), *against(LIMIT["queue"], ours)]
    for depth in DEPTHS:
        deep = extent.messages(depth)

        def run(contestant: Contestant, deep: int = deep) -> Mapping[str, float]:
            return {"rate": _rate(ground, contestant, deep, extent.messages(int(_TIMED * contestant.share)))}

        figures += rotate(
            f"depth {depth:,}", [Quantity("rate", "msg/s")], contestants, 1, run, ground=ground, say=extent.say
        )
    return figures


def _rate(ground: Ground, contestant: Contestant, deep: int, count: int) -> float:
    for filled in range(0, deep + count, _UNIQUE):  # a service warns of an id it has seen lately: none comes that soon
        ground.fill(contestant.pattern, min(_UNIQUE, deep + count - filled))
    child = ground.consumer(contestant)
    return ground.timed(count, child).rate
