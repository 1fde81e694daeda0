"""The result as data: every value of every round, so that whoever doubts a median can look."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Self

__all__ = ["Figure", "Result", "spread"]

NAIVE = "naive loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity of one contestant."""

    measure: str
    """E.g. ``drain``."""
    contestant: str
    quantity: str
    """E.g. ``messages``; with the same name it is comparable within its measure."""
    unit: str
    values: Sequence[float]
    """By round; NaN where a round gave none."""
    limit: str = ""
    """The contestant that is its limit; empty if it has none."""
    more_is_better: bool = True
    promise: str = ""
    failure: str = ""


@dataclass(slots=True, kw_only=True)
class Result:
    """All figures of one run, and where it took place."""

    context: dict[str, str]
    figures: list[Figure] = field(default_factory=list)

    def find(self, measure: str, contestant: str, quantity: str) -> Figure | None:
        return next(
            (f for f in self.figures if (f.measure, f.contestant, f.quantity) == (measure, contestant, quantity)), None
        )

    def ratio(self, figure: Figure, line: str, quantity: str = "") -> float:
        """The median over the rounds of this figure to that of another contestant in the same round."""
        other = self.find(figure.measure, line, quantity or figure.quantity)
        if other is None:
            return math.nan
        ratios = [a / b for a, b in zip(figure.values, other.values, strict=False) if b > 0 and math.isfinite(a)]
        return statistics.median(ratios) if ratios else math.nan

    def to_json(self) -> str:
        """One line per figure, its fields in the order of `columns`; medians and ratios are left to the reader."""
        columns = [each.name for each in fields(Figure)]
        rows = []
        for figure in self.figures:
            row = asdict(figure) | {"values": [_plain(value) for value in figure.values]}
            rows.append(json.dumps([row[name] for name in columns], separators=(",", ":")))
        head = f'"context": {json.dumps(self.context)},\n"columns": {json.dumps(columns)}'
        lines = ",\n".join(rows)
        return f'{{\n{head},\n"figures": [\n{lines}\n]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> Self:
        value = json.loads(text)
        rows = [dict(zip(value["columns"], row, strict=True)) for row in value["figures"]]
        for row in rows:
            row["values"] = [math.nan if each is None else each for each in row["values"]]
        return cls(context=value["context"], figures=[Figure(**row) for row in rows])


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Least, median, most."""
    known = [value for value in values if math.isfinite(value)]
    return (min(known), statistics.median(known), max(known)) if known else (math.nan, math.nan, math.nan)


def _plain(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None  # NaN is not JSON
