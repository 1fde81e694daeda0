"""receive: how fast a subscriber of the channel gets on, and whether it hears everything.

The subscriber is stopped (SIGSTOP) while everything is published, and time runs from its first message to its last
once it goes on: what is timed is the subscriber, not the publisher. All of it fits into Redis's output buffer
(32 MB for a subscriber), so that nothing may be missing.

With both: channel and queue are full at once, and a process has a thread for each. ``slower part`` is how much the
one that is behind has done when the other is through: 1 is even, 0 starved.
"""

import signal
import time
from collections.abc import Mapping
from dataclasses import replace

from lab.bench.child import FailedError
from lab.bench.contestants import LIMIT, Contestant, against, hearers, townpost
from lab.bench.figures import Figure
from lab.bench.ground import Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["measure"]

_MESSAGES = 60_000
_SECONDS = 30.0


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    def run(contestant: Contestant) -> Mapping[str, float]:
        return _received(ground, contestant, extent.messages(int(_MESSAGES * contestant.share)))

    peers = [replace(peer, share=0.1) for peer in extent.peers if peer.pattern == "pubsub"]
    received = rotate(
        "receive", [Quantity("receive", "msg/s"), Quantity("CPU", "s per 100,000", more_is_better=False)],
        [*hearers(), *against(LIMIT["pubsub"], peers)], extent.rounds, run, ground=ground, say=extent.say,
    )  # fmt: skip
    both = [townpost("both", handler="both", name="townpost both")]
    return received + rotate(
        "both threads busy", [Quantity("both together", "msg/s"), Quantity("slower part", "of the faster")],
        both, extent.rounds, lambda c: _both(ground, c, extent.messages(_MESSAGES)), ground=ground, say=extent.say,
    )  # fmt: skip


def _subscribed(ground: Ground) -> None:
    deadline = time.monotonic() + _SECONDS
    while ground.connection.call("PUBSUB", "NUMSUB", "messages") != [b"messages", 1]:
        if time.monotonic() > deadline:
            raise FailedError("did not subscribe")
        time.sleep(0.01)
    time.sleep(0.1)


def _received(ground: Ground, contestant: Contestant, count: int) -> Mapping[str, float]:
    child = ground.consumer(contestant)
    _subscribed(ground)
    child.signal(signal.SIGSTOP)
    ground.fill("pubsub", count)
    cpu = child.cpu_seconds()
    child.signal(signal.SIGCONT)
    span = ground.timed(count, child, seconds=_SECONDS)
    return {
        "receive": span.rate,
        "CPU": (child.cpu_seconds() - cpu) * 100_000 / count,
    }


def _both(ground: Ground, contestant: Contestant, count: int) -> Mapping[str, float]:
    child = ground.consumer(contestant)
    _subscribed(ground)
    child.signal(signal.SIGSTOP)
    ground.fill("pubsub", count)
    ground.fill("queue", count)
    child.signal(signal.SIGCONT)

    def faster() -> int:
        return max(ground.tally.each, default=0)

    first = ground.timed(count, child, progress=faster, seconds=_SECONDS)
    slower = sorted(ground.tally.each)[-2]
    rest = ground.timed(2 * count, child, seconds=_SECONDS) if slower < count else None
    seconds = first.seconds + (rest.seconds if rest is not None else 0)
    return {"both together": 2 * count / seconds, "slower part": slower / count}
