"""What is promised, as ratios within one run: two figures of it and a bound."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from lab.bench.figures import NAIVE, Figure, Result, spread
from lab.bench.measures.tasks import BULK, TASKS
from lab.bench.measures.waiting import FIFTY, THOUSAND

__all__ = ["GOALS", "Goal"]

_PEERS_BATCHES = "faststream stream batch, tuned"


@dataclass(frozen=True, slots=True)
class Goal:
    """``contestant`` over ``other`` in a measure; without an other the figure itself.

    The other is a name, or says which figures are meant: then it is the one that comes out best of them.
    """

    text: str
    measure: str
    quantity: str
    contestant: str
    other: str | Callable[[Figure], bool]
    bound: float
    at_least: bool = True
    of_other: str = ""
    """Its quantity, where that is another."""

    def found(self, result: Result) -> float:
        """The ratio; NaN if it was not measured."""
        figure = result.find(self.measure, self.contestant, self.quantity)
        if figure is None:
            return math.nan
        if not self.other:
            return spread(figure.values)[1]
        if isinstance(self.other, str):
            return result.ratio(figure, self.other, self.of_other)
        quantity = self.of_other or self.quantity
        others = [f for f in result.figures if (f.measure, f.quantity) == (self.measure, quantity) and self.other(f)]
        ratios = [result.ratio(figure, other.contestant, self.of_other) for other in others]
        return (min if self.at_least else max)(filter(math.isfinite, ratios), default=math.nan)

    def met(self, found: float) -> bool:
        return found >= self.bound if self.at_least else found <= self.bound


def _drain(what: str, contestant: str, *others: tuple[str, float]) -> list[Goal]:
    return [Goal(f"{what} to {other}", "drain", "drain", contestant, other, bound) for other, bound in others]


def _bulk(what: str, contestant: str, *others: tuple[str, float]) -> list[Goal]:
    return [Goal(f"{what} to {other}", "publish, bulk", "publish", contestant, other, bound) for other, bound in others]


def _most(make: Callable[[str], Goal], *names: str) -> list[Goal]:
    return [make(name) for name in names]


def _a_peer(figure: Figure) -> bool:
    return not figure.contestant.startswith("townpost")


def _a_peer_each_settled(figure: Figure) -> bool:
    return figure.promise == "at least once, settled one by one"


def _of_faststream(figure: Figure) -> bool:
    return figure.contestant.startswith("faststream")


_PREPARED = "townpost queue, prepared, 1,000 tasks"
_IDEAL = "of the ideal"
_THOUSAND = "townpost reliable, async x 1,000"
_ALONE = "townpost queue, prepared, 1 task"

GOALS = (
    *_drain("queue, no-op handler", "townpost queue", ("limit, queue", 0.75), (NAIVE, 18)),
    *_drain("queue, printing", "townpost queue, printing", (NAIVE, 8)),
    *_drain(
        "reliable, no-op handler",
        "townpost reliable",
        ("limit, reliable", 0.75),
        (NAIVE, 12),
        (_PEERS_BATCHES, 3),
        ("ardiq, tuned", 15),
    ),
    *_drain("stream, no-op handler", "townpost stream", ("limit, stream", 0.7)),
    Goal("pub/sub receive to the get_message loop", "receive", "receive", "townpost pubsub", NAIVE, 3),
    Goal("both threads busy: slower part", "both threads busy", "slower part", "townpost both", "", 0.2),
    *_bulk(
        "bulk publish",
        "townpost queue",
        ("limit, variadic RPUSH", 0.75),
        (NAIVE, 6),
    ),
    *_bulk(
        "bulk publish, both with prepared messages,",
        "townpost queue, prepared",
        ("faststream list batch, plain", 2.5),
        ("faststream list batch, tuned", 2.5),
    ),
    *_bulk("bulk publish, channel and list", "townpost both", ("naive loop, channel and list", 10)),
    Goal(
        "publish one at a time to a bare RPUSH loop",
        "publish, one at a time",
        "publish",
        "townpost queue",
        "bare RPUSH loop",
        0.9,
    ),
    Goal("latency p50, queue, to a bare BLPOP", "latency", "p50", "townpost queue", NAIVE, 1.0, at_least=False),
    Goal("latency p50, reliable, to the same", "latency", "p50", "townpost reliable", NAIVE, 1.6, at_least=False),
    *_most(
        lambda name: Goal(f"memory of a {name} message to its bytes in a list", "memory", "memory", f"townpost {name}",
                          "limit, the bytes alone", 1.02, at_least=False),
        "queue",
        "reliable",
    ),
    *_most(
        lambda name: Goal(f"4 {name} processes to 1", "scaling", "together", f"townpost {name} x 4",
                          f"townpost {name} x 1", 1.0),
        "queue", "reliable", "stream",
    ),
    Goal("2 processes to 1, CPU-bound", "computing", "together", "townpost reliable x 2", "townpost reliable x 1", 1.8),
    *_most(
        lambda name: Goal(f"4 {name} processes share slow work: least of most", "sharing", "fairness",
                          f"townpost {name} x 4", "", 0.8),
        "queue", "reliable", "stream",
    ),
    *_drain("async no-op handler", "townpost reliable, async x 100", ("townpost reliable", 0.5)),
    Goal("the same to the best at-least-once peer that runs a handler per message", "drain", "drain",
         "townpost reliable, async x 100", _a_peer_each_settled, 15),
    *_drain("no-op handler in threads", "townpost reliable, threads x 20", ("townpost reliable", 0.4)),
    *_most(
        lambda name: Goal(f"waiting handlers, {name}, of the ideal", FIFTY, _IDEAL, f"townpost {name}", "", 0.95),
        *(f"{pattern}, {kind} x 50" for pattern in ("queue", "reliable", "stream") for kind in ("threads", "async")),
    ),
    *_most(
        lambda kind: Goal(f"the same, reliable, {kind}, to the best peer", FIFTY, _IDEAL,
                          f"townpost reliable, {kind} x 50", _a_peer, 1),
        "threads", "async",
    ),
    Goal("1,000 waiting handlers, of the ideal", THOUSAND, _IDEAL, _THOUSAND, "", 0.95),
    Goal("the same to the best peer", THOUSAND, _IDEAL, _THOUSAND, _a_peer, 1),
    Goal("the same, MiB", THOUSAND, "memory", _THOUSAND, "", 150, at_least=False),
    Goal("publish from 1,000 tasks, made on the way, to the bulk publisher", TASKS, "publish",
         "townpost queue, made, 1,000 tasks", BULK, 0.8),
    Goal("the same, prepared, to the best of FastStream", TASKS, "publish", _PREPARED, _of_faststream, 12),
    Goal("p99 of the same to FastStream's p50 from 50 tasks", TASKS, "p99", _PREPARED,
         "faststream list, tuned, 50 tasks", 1, at_least=False, of_other="p50"),
    Goal("p50 of one task to the RPUSH of redis.asyncio", TASKS, "p50", _ALONE, "redis.asyncio RPUSH, 1 task", 1.1,
         at_least=False),
)  # fmt: skip
