"""The result for a terminal: a table a measure, lines first, and then what was promised."""

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lab.bench.figures import NAIVE, Figure, Result, spread
from lab.bench.goals import GOALS

__all__ = ["number", "show"]


def show(result: Result, console: Console) -> None:
    console.print(", ".join(f"{name} {value}" for name, value in result.context.items()), highlight=False)
    for measure in dict.fromkeys(figure.measure for figure in result.figures):
        console.print(_measure(result, measure))
    goals = _goals(result)
    if goals.row_count:
        console.print(goals)


def number(value: float) -> str:
    """Three digits that mean something."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 1000 or value == 0:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _measure(result: Result, measure: str) -> Table:
    table = Table(title=measure, title_justify="left", title_style="bold", header_style="dim", box=SIMPLE_HEAD)
    for name in ("", "", "median", "min", "max", "unit", "x naive", "x limit", "promise"):
        table.add_column(name, justify="right" if name in ("median", "min", "max", "x naive", "x limit") else "left")
    last = ""
    for figure in (f for f in result.figures if f.measure == measure):
        name = figure.contestant if figure.contestant != last else ""
        if figure.failure:
            if name:
                table.add_row(name, "", "-", "", "", "", "", "", figure.failure, style="dim")
            last = figure.contestant
            continue
        promise = figure.promise if name else ""
        last = figure.contestant
        low, median, high = spread(figure.values)
        table.add_row(
            name,
            figure.quantity,
            *(number(value) for value in (median, low, high)),
            figure.unit,
            number(result.ratio(figure, NAIVE)),
            number(result.ratio(figure, figure.limit)) if figure.limit else "-",
            promise,
            style=_style(figure),
        )
    return table


def _style(figure: Figure) -> str:
    if figure.contestant.startswith("townpost"):
        return "green"
    return "cyan" if figure.contestant == NAIVE or figure.contestant.startswith("limit") else ""


def _goals(result: Result) -> Table:
    title = "goals, as ratios of this run"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=SIMPLE_HEAD)
    for name in ("goal", "wanted", "found", ""):
        table.add_column(name, justify="right" if name == "found" else "left")
    for goal in GOALS:
        found = goal.found(result)
        if math.isfinite(found):
            met = goal.met(found)
            wanted = f"{'>=' if goal.at_least else '<='} {goal.bound:g}"
            table.add_row(goal.text, wanted, number(found), "met" if met else "missed", style="green" if met else "red")
    return table
