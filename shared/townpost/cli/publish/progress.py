"""How a bulk run shows that it moves: a bar on a terminal, a plain line a second in a pipe or where rich is missing."""

import importlib.util
import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

__all__ = ["Progress"]

_LINE_SECONDS = 1.0


class Progress:
    """Use it in a `with`; `sent` says how many more are done."""

    def __init__(self, total: int | None) -> None:
        """Show nothing before it is entered; the total is None if it is unknown."""
        self._total = total
        self._log = logging.getLogger("townpost.publisher")
        self._bar = _bar() if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None else None
        self._task = self._bar.add_task("sending", total=total, rate="") if self._bar is not None else None
        self._sent = 0
        self._started = self._said = time.monotonic()

    def sent(self, count: int) -> None:
        self._sent += count
        now = time.monotonic()
        rate = f"{self._sent / max(now - self._started, 1e-9):,.0f}/s"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=count, rate=rate)
        elif now - self._said >= _LINE_SECONDS:
            self._said = now
            of = f" of {self._total:,}" if self._total is not None else ""
            self._log.info("sent %s%s (%s)", f"{self._sent:,}", of, rate)

    def __enter__(self) -> Self:
        self._started = self._said = time.monotonic()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> "Bar":
    # a tenth of a second of imports that only a terminal needs
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("sending"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        console=Console(stderr=True),
    )
