"""size: the drain of messages of 170 bytes to 1 MiB, no more than 48 MiB of them together.

A whole batch of large messages is on its way before the first is handled. So the consumer waits, is stopped (SIGSTOP)
while the queue is filled, and time runs from the moment it goes on.
"""

import signal
import time
from collections.abc import Mapping

from lab.bench.contestants import LIMIT, Contestant, against, limit, naive, townpost
from lab.bench.figures import Figure
from lab.bench.ground import Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["SIZES", "measure"]

SIZES = {"170 B": 170, "1 KiB": 2**10, "10 KiB": 10 * 2**10, "100 KiB": 100 * 2**10, "1 MiB": 2**20}
_MOST = 20_000
_MOST_BYTES = 48 * 2**20
_LEAST = 40


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    figures = []
    ours = [townpost(pattern) for pattern in ("queue", "reliable", "stream")]
    contestants = [naive(), limit("queue"), *against(LIMIT["queue"], ours)]
    for label, size in SIZES.items():

        def run(contestant: Contestant, size: int = size) -> Mapping[str, float]:
            count = extent.messages(min(_MOST, _MOST_BYTES // size), least=_LEAST)
            return _rate(ground, contestant, max(_LEAST, int(count * contestant.share)), size)

        figures += rotate(
            f"size {label}",
            [Quantity("rate", "msg/s"), Quantity("bytes", "MiB/s")],
            contestants,
            1,
            run,
            ground=ground,
            say=extent.say,
        )
    return figures


def _rate(ground: Ground, contestant: Contestant, count: int, size: int) -> Mapping[str, float]:
    child = ground.consumer(contestant)
    ground.await_idle(child)
    child.signal(signal.SIGSTOP)
    ground.fill(contestant.pattern, count, size)
    started = time.monotonic()
    child.signal(signal.SIGCONT)
    rate = ground.timed(count, child, since=started).rate
    return {"rate": rate, "bytes": rate * size / 2**20}
