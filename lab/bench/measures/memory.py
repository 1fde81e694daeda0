"""memory: what Redis needs for one waiting message, from its used memory before and after."""

from collections.abc import Mapping

from lab.bench.contestants import LIMIT, Contestant, against
from lab.bench.figures import NAIVE, Figure
from lab.bench.ground import Ground
from lab.bench.measures.drain import filled
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["measure"]

_MESSAGES = 20_000
_LEAST = 5_000
_BARE = "limit, the bytes alone"


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    plain = [
        Contestant(name=name, module=(), promise="", pattern=pattern, limit=_BARE)
        for name, pattern in (
            (_BARE, "queue"),
            (NAIVE, "queue"),
            *((f"townpost {pattern}", pattern) for pattern in ("queue", "reliable", "stream")),
        )
    ]
    peers = [peer for peer in extent.peers if peer.pattern not in LIMIT or peer.missing]

    def run(contestant: Contestant) -> Mapping[str, float]:
        # what else Redis allocates and frees meanwhile is to be small beside it
        count = extent.messages(
            int(_MESSAGES * max(contestant.share, 0.1)), least=_LEAST if contestant.pattern else 500
        )
        before = ground.info("used_memory")
        filled(ground, contestant, count)
        return {"memory": (ground.info("used_memory") - before) / count}

    quantity = Quantity("memory", "bytes a message", more_is_better=False)
    return rotate("memory", [quantity], [*plain, *against(_BARE, peers)], 1, run, ground=ground, say=extent.say)
