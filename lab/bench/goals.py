"""What is promised, as ratios within one run: two figures of it and a bound."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from lab.bench.figures import NAIVE, Result, spread

__all__ = ["GOALS", "Goal"]

_PEERS_BATCHES = "faststream stream batch, tuned"


@dataclass(frozen=True, slots=True)
class Goal:
    """``contestant`` over ``other`` in a measure; without an other the figure itself."""

    text: str
    measure: str
    quantity: str
    contestant: str
    other: str
    bound: float
    at_least: bool = True

    def found(self, result: Result) -> float:
        """The ratio; NaN if it was not measured."""
        figure = result.find(self.measure, self.contestant, self.quantity)
        if figure is None:
            return math.nan
        return result.ratio(figure, self.other) if self.other else spread(figure.values)[1]

    def met(self, found: float) -> bool:
        return found >= self.bound if self.at_least else found <= self.bound


def _drain(what: str, contestant: str, *others: tuple[str, float]) -> list[Goal]:
    return [Goal(f"{what} to {other}", "drain", "drain", contestant, other, bound) for other, bound in others]


def _bulk(what: str, contestant: str, *others: tuple[str, float]) -> list[Goal]:
    return [Goal(f"{what} to {other}", "publish, bulk", "publish", contestant, other, bound) for other, bound in others]


def _most(make: Callable[[str], Goal], *names: str) -> list[Goal]:
    return [make(name) for name in names]


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
    *_most(
        lambda name: Goal(f"4 {name} processes share slow work: least of most", "sharing", "fairness",
                          f"townpost {name} x 4", "", 0.8),
        "queue", "reliable", "stream",
    ),
)  # fmt: skip
