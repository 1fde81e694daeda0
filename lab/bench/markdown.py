"""The main figures and the goals as Markdown, and their place in a document."""

import math
from pathlib import Path

from lab.bench.figures import NAIVE, Result, spread
from lab.bench.goals import GOALS
from lab.bench.measures.tasks import TASKS
from lab.bench.measures.waiting import FIFTY, THOUSAND
from lab.bench.table import number

__all__ = ["renew", "tables"]

_BEGIN, _END = "<!-- bench: written by `python -m lab bench --out docs` -->", "<!-- end of bench -->"
_SHOWN = (
    ("drain", "drain", "Emptying a queue that was filled before"),
    ("publish, bulk", "publish", "Publishing in bulk"),
    ("receive", "receive", "Hearing a channel"),
    ("latency", "p50", "From sent to handled, 200 messages a second"),
    ("latency", "p99", "The same, p99"),
    ("memory", "memory", "Redis memory for each waiting message"),
    (FIFTY, "of the ideal", "Handlers that wait 20 ms, 50 at a time: share of the 2,500 a second that are possible"),
    (THOUSAND, "of the ideal", "Handlers that wait 100 ms, 1,000 at a time: share of 10,000 a second"),
    (TASKS, "publish", "Publishing from the tasks of one event loop, each message awaited"),
    (TASKS, "p50", "The same, how long one send takes, p50"),
    (TASKS, "p99", "The same, p99"),
    ("computing", "together", "Handlers that compute, in one process and in two"),
)


def tables(result: Result) -> str:
    """What was promised, then a table a measure, then where it was measured."""
    lines = ["| goal | wanted | found | |", "|---|---|---|---|"]
    for goal in GOALS:
        found = goal.found(result)
        if math.isfinite(found):
            wanted = f"{'at least' if goal.at_least else 'at most'} {goal.bound:g}"
            lines.append(f"| {goal.text} | {wanted} | {number(found)} | {'met' if goal.met(found) else '**missed**'} |")
    for measure, quantity, title in _SHOWN:
        figures = [f for f in result.figures if (f.measure, f.quantity) == (measure, quantity) and not f.failure]
        if not figures:
            continue
        lines += [
            "",
            f"**{title}**",
            "",
            f"| | {figures[0].unit} | least to most | x naive | promise |",
            "|---" * 5 + "|",
        ]
        for figure in figures:
            low, median, high = map(number, spread(figure.values))
            ratio = number(result.ratio(figure, NAIVE))
            lines.append(f"| {figure.contestant} | {median} | {low} to {high} | {ratio} | {figure.promise} |")
    lines += ["", ", ".join(f"{name} {value}" for name, value in result.context.items() if value) + "."]
    return "\n".join(lines) + "\n"


def renew(document: Path, result: Result) -> bool:
    """Put them in their place in a document; whether it has one."""
    text = document.read_text() if document.exists() else ""
    if _BEGIN not in text or _END not in text:
        return False
    before, rest = text.split(_BEGIN)
    document.write_text(f"{before}{_BEGIN}\n{tables(result)}{_END}{rest.split(_END)[1]}")
    return True
