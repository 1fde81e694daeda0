"""waiting: handlers that wait, several at a time in one process; no-op: those that do nothing, by how they are called.

``of the ideal`` is the rate over that of workers that lose no time: 50 at a time with 20 ms each make 2,500 a second,
1,000 at a time with 100 ms make 10,000. The peers do not take part yet.
"""

from collections.abc import Mapping

from lab.bench.contestants import Contestant, townpost
from lab.bench.figures import Figure
from lab.bench.ground import Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["measure"]

_MESSAGES = 15_000
_MANY_MESSAGES = 60_000
_NO_OP_MESSAGES = 200_000
_MIB = 1024 * 1024


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    ideals: dict[str, tuple[float, int]] = {}
    waiting: list[Contestant] = []

    def add(pattern: str, handler: str, at_once: int, seconds: float, count: int) -> None:
        runner = "loop" if handler.startswith("await") else "threads"
        name = f"townpost {pattern}, {runner} x {at_once:,}"
        waiting.append(townpost(pattern, name=name, handler=handler, CONCURRENCY=str(at_once)))
        ideals[name] = (at_once / seconds, count)

    for pattern in ("queue", "reliable", "stream"):
        for handler in ("waits_20_ms", "awaits_20_ms"):
            add(pattern, handler, 50, 0.02, _MESSAGES)
    add("reliable", "awaits_100_ms", 1_000, 0.1, _MANY_MESSAGES)

    def wait(contestant: Contestant) -> Mapping[str, float]:
        ideal, messages = ideals[contestant.name]
        count = extent.messages(messages)
        child = ground.consumer(contestant)
        ground.await_idle(child)
        ground.fill(contestant.pattern, count)
        rate = ground.timed(count, child).rate
        return {"of the ideal": rate / ideal, "memory": child.peak_bytes() / _MIB}

    quantities = [Quantity("of the ideal", "share"), Quantity("memory", "MiB", more_is_better=False)]
    figures = rotate("waiting", quantities, waiting, min(extent.rounds, 2), wait, ground=ground, say=extent.say)
    no_op = [
        townpost("reliable", name="townpost reliable, inline"),
        townpost("reliable", name="townpost reliable, threads x 20", handler="nothing_in_threads", CONCURRENCY="20"),
        townpost("reliable", name="townpost reliable, loop x 100", handler="nothing_async", CONCURRENCY="100"),
    ]

    def drain(contestant: Contestant) -> Mapping[str, float]:
        count = extent.messages(_NO_OP_MESSAGES)
        ground.fill(contestant.pattern, count)
        child = ground.consumer(contestant)
        return {"drain": ground.timed(count, child).rate}

    return figures + rotate(
        "no-op", [Quantity("drain", "msg/s")], no_op, extent.rounds, drain, ground=ground, say=extent.say
    )
