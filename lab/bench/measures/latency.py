"""latency: from right before a message is sent to its handler, at 200 messages a second.

A consumer that waits, an empty queue, a message every 5 ms. Ours and the lines are sent plain bytes by the bench;
peers by their own publishers. The floor is one BLPOP at a time on a bare connection. A round has a few hundred
messages: its p99.9 is its slowest.
"""

import time
from collections.abc import Mapping, Sequence

from lab.bench.child import Child, FailedError
from lab.bench.contestants import Contestant, against, naive, townpost
from lab.bench.figures import Figure
from lab.bench.ground import KEYS, Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate
from lab.bench.tally import MOST_STAMPS
from lab.bench.work import payloads

__all__ = ["measure", "percentiles"]

_MESSAGES = 400
_WARMING = 40
_RATE = 200
_FLOOR = "limit, BLPOP on a bare connection"
_SECONDS = 30.0
_SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def _contestants() -> Sequence[Contestant]:
    answering = Contestant(
        name=_FLOOR, module=("lab.bench.loops.limit", "answer"), promise="at most once", pattern="queue"
    )
    return [answering, naive(), *(townpost(pattern) for pattern in ("queue", "reliable", "stream", "pubsub"))]


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    count = min(extent.messages(_MESSAGES, least=60), MOST_STAMPS - _WARMING - 1)

    def run(contestant: Contestant) -> Mapping[str, float]:
        return percentiles(_delays(ground, contestant, count))

    quantities = [Quantity(name, "us", more_is_better=False) for name in _SHARES]
    return rotate(
        "latency",
        quantities,
        against(_FLOOR, [*_contestants(), *extent.peers]),
        extent.rounds,
        run,
        ground=ground,
        say=extent.say,
    )


def _delays(ground: Ground, contestant: Contestant, count: int) -> list[float]:
    whole = _WARMING + count
    child = ground.consumer(contestant, mode="stamp")
    ground.await_idle(child)
    if contestant.publisher:
        module = (*contestant.publisher, str(whole), "1", str(_RATE))
        ground.start(module, python=contestant.python, environment={"BENCH_MODE": "stamp"})
    else:
        _send(ground, child, contestant.pattern, whole)
    ground.reach(whole, child)
    return ground.tally.delays(whole)[_WARMING:]


def _send(ground: Ground, child: Child, pattern: str, count: int) -> None:
    due = time.monotonic()
    for number, raw in enumerate(payloads(count), 1):
        due += 1 / _RATE
        time.sleep(max(0.0, due - time.monotonic()))
        ground.tally.sent(number)
        if pattern == "pubsub":
            ground.connection.call("PUBLISH", "messages", raw)
        elif pattern == "stream":
            ground.connection.call("XADD", KEYS[pattern], "*", "message", raw)
        else:
            ground.connection.call("RPUSH", KEYS[pattern], raw)
        if number == 1:
            ground.reach(1, child)  # it may still be starting
            due = time.monotonic()


def percentiles(delays: Sequence[float]) -> Mapping[str, float]:
    """In microseconds.

    Raises:
        FailedError: there are none.
    """
    delays = sorted(delays)
    if not delays or delays[0] < 0:
        raise FailedError("messages without a time")
    return {name: 1e6 * delays[min(int(share * len(delays)), len(delays) - 1)] for name, share in _SHARES.items()}
