"""The matrix and its progress, on a terminal or in a pipe."""

import sys
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lab.faults import FAULTS
from lab.report.cells import Judgement, judgement, words
from lab.trials.run import Matrix
from lab.trials.subjects import PLANTED, SUBJECTS
from lab.trials.trial import Cell

__all__ = ["Watch", "show"]

_COLOURS = {
    Judgement.KEPT: "green",
    Judgement.LOSSY: "yellow",
    Judgement.BROKEN: "bold white on red",
    Judgement.FAILED: "bold red",
    Judgement.ABSENT: "dim",
}
_PIPE_WIDTH = 160


class Watch:
    """Use it in a `with`: a bar on a terminal, a line for each cell elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("trying"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[last]}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("trying", total=total, last="")

    def __call__(self, cell: Cell) -> None:
        self._done += 1
        told = ", ".join(part for part in words(cell) if part)
        line = f"{judgement(cell).sign} {cell.fault} / {cell.subject}: {told}"
        if cell.subject in PLANTED:
            line = f"{cell.fault} / planted {cell.subject}: {'convicted' if cell.broken else 'NOT CONVICTED'} ({told})"
        elif cell.broken or cell.failed:
            line += f" ({'; '.join(cell.broken) or cell.problem})"
        if self._bar is None:
            print(f"[{self._done:>3}/{self._total}] {line}", file=sys.stderr, flush=True)
        else:
            self._bar.update(self._task, advance=1, last=line)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def show(matrix: Matrix) -> None:
    """Print it on standard output."""
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    table = Table(title=f"What each pattern lost (seed {matrix.seed})", title_justify="left", box=box.SIMPLE_HEAVY)
    table.add_column("fault", no_wrap=True)
    for name in matrix.subjects:
        table.add_column(SUBJECTS[name].title)
    for fault in matrix.faults:
        cells = [matrix.cell(fault, subject) for subject in matrix.subjects]
        table.add_row(FAULTS[fault].title, *map(_cell, cells))
    console.print(table)
    console.print(
        "  ".join(f"{each.sign} {each.meaning}" for each in Judgement)
        + "\nlost: acknowledged by Redis, never handled. forgotten: Redis itself had it no more. "
        "The last figure is the time to recover.",
        style="dim",
        highlight=False,
    )
    for cell in matrix.suspects:
        verdict = f"convicted: {'; '.join(cell.broken)}" if cell.broken else f"NOT CONVICTED {cell.problem}"
        console.print(f"planted fault {cell.subject!r} under {cell.fault!r}: {verdict}", highlight=False)
    for cell in matrix.wrong:
        why = "; ".join(cell.broken) or cell.problem
        console.print(f"{cell.fault} / {cell.subject}: {why}", style="bold red", highlight=False)


def _cell(cell: Cell | None) -> Text:
    judged = judgement(cell)
    first, rest = words(cell)
    return Text(f"{judged.sign} {first}" + (f"\n  {rest}" if rest else ""), style=_COLOURS[judged])
