"""tasks: publishing from the tasks of one event loop, each of which sends one message and waits until it is stored.

Messages of ``made`` are built on the way, as those of the bulk publisher, which has no tasks; all others were made
before. Beside the rate, how long one send takes. FastStream and redis.asyncio have a connection for each task.
"""

from collections.abc import Mapping, Sequence

from lab.bench.contestants import Contestant
from lab.bench.figures import Figure
from lab.bench.ground import Ground
from lab.bench.measures.extent import Extent
from lab.bench.measures.latency import percentiles
from lab.bench.rotation import Quantity, rotate

__all__ = ["BULK", "TASKS", "measure"]

TASKS = "publish, from tasks"
BULK = "townpost queue, in bulk"
_SECONDS = 2.0
_BULK_MESSAGES = 10_000_000
"""More than it sends in that time."""
_WARMING = 5
"""Messages of each task."""
_LOOPS = "lab.bench.loops"
_PROMISE = "acknowledged by Redis"


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    tasks: dict[str, int] = {BULK: 1}
    contestants = [Contestant(name=BULK, module=(f"{_LOOPS}.townpost", "publish", "queue"), promise=_PROMISE)]

    def add(name: str, module: Sequence[str], counts: Sequence[int], peer: Contestant | None = None) -> None:
        for count in counts:
            full = f"{name}, {count:,} task{'s' * (count > 1)}"
            tasks[full] = count
            contestants.append(
                Contestant(
                    name=full, module=tuple(module), promise=_PROMISE,
                    python=peer.python if peer else "", missing=peer.missing if peer else "",
                )
            )  # fmt: skip

    add("townpost queue, made", (f"{_LOOPS}.townpost", "tasks", "queue"), (1_000,))
    add("townpost queue, prepared", (f"{_LOOPS}.townpost", "tasks-prepared", "queue"), (1, 50, 1_000))
    add("redis.asyncio RPUSH", (f"{_LOOPS}.naive", "publish-tasks"), (1, 50, 1_000))
    for peer in extent.peers:
        if peer.name in ("faststream list", "faststream list, tuned"):
            add("faststream list, tuned", (*peer.publisher[:-1], "publish_from_tasks"), (1, 50, 1_000), peer)

    def run(contestant: Contestant) -> Mapping[str, float]:
        bulk = contestant.name == BULK
        count = tasks[contestant.name]
        child = ground.start((*contestant.module, str(_BULK_MESSAGES if bulk else count)), python=contestant.python)
        ground.reach(_WARMING * count, child)
        rate = ground.timed(_BULK_MESSAGES, child, within=_SECONDS * min(extent.scale, 1)).rate
        return {"publish": rate} if bulk else {"publish": rate, **percentiles(ground.tally.kept())}

    quantities = [
        Quantity("publish", "msg/s"),
        *(Quantity(name, "us", more_is_better=False) for name in ("p50", "p99")),
    ]
    return rotate(TASKS, quantities, contestants, extent.rounds, run, ground=ground, say=extent.say)
