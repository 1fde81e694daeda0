"""Everybody once a round, so that a slow minute of the machine is a slow minute for all."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.bench.child import FailedError
from lab.bench.contestants import Contestant
from lab.bench.figures import Figure
from lab.bench.ground import Ground

__all__ = ["Quantity", "rotate"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What one run of a measure gives, besides its value."""

    name: str
    unit: str
    more_is_better: bool = True


def rotate(
    measure: str,
    quantities: Sequence[Quantity],
    contestants: Sequence[Contestant],
    rounds: int,
    run: Callable[[Contestant], Mapping[str, float]],
    *,
    ground: Ground,
    say: Callable[[str], None],
) -> list[Figure]:
    """The figures of ``run``, for each contestant and quantity, over so many rounds.

    One that fails is not tried again; its figures carry the reason instead.
    """
    failures = {c.name: c.missing for c in contestants if c.missing}
    found: dict[tuple[str, str], list[float]] = {(c.name, q.name): [] for c in contestants for q in quantities}
    for number in range(rounds):
        for contestant in contestants:
            values: Mapping[str, float] = {}
            if contestant.name not in failures and number < contestant.rounds:
                say(f"{measure}, round {number + 1} of {rounds}: {contestant.name}")
                try:
                    ground.clear()
                    values = run(contestant)
                except FailedError as error:
                    failures[contestant.name] = str(error)
                    say(f"{measure}: {contestant.name} is out: {error}")
            for quantity in quantities:
                found[contestant.name, quantity.name].append(values.get(quantity.name, math.nan))
    ground.clear()
    return [
        Figure(
            measure=measure,
            contestant=contestant.name,
            quantity=quantity.name,
            unit=quantity.unit,
            values=found[contestant.name, quantity.name],
            limit=contestant.limit,
            more_is_better=quantity.more_is_better,
            promise=contestant.promise,
            failure=failures.get(contestant.name, ""),
        )
        for contestant in contestants
        for quantity in quantities
    ]
