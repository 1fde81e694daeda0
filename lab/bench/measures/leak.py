"""leak: how much a process's memory grows while it handles message after message; only with ``--only leak``.

Resident memory when a tenth is done, and when all is: what grows after the start is a leak. The default is a million
messages each; ``--scale 10`` makes it ten.
"""

import time
from collections.abc import Mapping

from lab.bench.child import Child, FailedError
from lab.bench.contestants import Contestant, townpost
from lab.bench.figures import Figure
from lab.bench.ground import KEYS, Ground
from lab.bench.measures.extent import Extent
from lab.bench.proc import resident_bytes
from lab.bench.rotation import Quantity, rotate

__all__ = ["measure"]

_MESSAGES = 1_000_000
_LOAD = 50_000
_SECONDS = 600.0
_LOOK_SECONDS = 0.02
_QUANTITIES = (
    Quantity("at a tenth", "MiB", more_is_better=False),
    Quantity("at the end", "MiB", more_is_better=False),
)


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    count = extent.messages(_MESSAGES, least=2 * _LOAD)
    listeners = [townpost(pattern) for pattern in ("queue", "reliable", "stream", "pubsub")]
    publisher = Contestant(
        name="townpost publisher",
        module=("publisher", "--pattern", "queue", "--interval", "0", "--count", str(count)),
        promise="",
        uncounted=True,
    )

    def run(contestant: Contestant) -> Mapping[str, float]:
        child = ground.consumer(contestant)
        if contestant.uncounted:
            return _publishing(ground, child, count)
        ground.await_idle(child)
        return _listening(ground, child, contestant, count)

    return rotate("leak", _QUANTITIES, [*listeners, publisher], 1, run, ground=ground, say=extent.say)


def _listening(ground: Ground, child: Child, contestant: Contestant, count: int) -> Mapping[str, float]:
    early = 0.0
    for loaded in range(_LOAD, count + 1, _LOAD):
        ground.fill(contestant.pattern, _LOAD)
        ground.reach(loaded, child)
        if contestant.pattern == "stream":
            ground.connection.call("XTRIM", KEYS["stream"], "MAXLEN", 0)
        if not early and loaded >= count / 10:
            early = resident_bytes(child.pid) / 2**20
    return {"at a tenth": early, "at the end": resident_bytes(child.pid) / 2**20}


def _publishing(ground: Ground, child: Child, count: int) -> Mapping[str, float]:
    early, last, sent = 0.0, 0.0, 0
    deadline = time.monotonic() + _SECONDS
    while sent < count and child.status is None:
        time.sleep(_LOOK_SECONDS)
        length = ground.connection.call("LLEN", KEYS["queue"])
        if isinstance(length, int) and length > _LOAD:
            ground.connection.call("LTRIM", KEYS["queue"], length, -1)
            sent += length
        if not early and sent >= count / 10:
            early = resident_bytes(child.pid) / 2**20
        last = resident_bytes(child.pid) / 2**20 or last
        if time.monotonic() > deadline:
            raise FailedError(f"sent {sent:,} of {count:,}")
    return {"at a tenth": early, "at the end": last}
