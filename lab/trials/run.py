"""All cells of a matrix, several at a time; and the planted faults, which must be found."""

import os
import platform
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import version

from lab.faults import FAULTS
from lab.server import binary
from lab.trials.subjects import PLANTED, SUBJECTS, SUSPECTS
from lab.trials.town import CancelledError
from lab.trials.trial import Cell, attempt

__all__ = ["Matrix", "run"]

_AT_A_TIME_PER_CORE = 2
"""A trial mostly waits."""
_GLANCE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What a run found."""

    seed: int
    subjects: tuple[str, ...]
    faults: tuple[str, ...]
    cells: tuple[Cell, ...]
    suspects: tuple[Cell, ...]
    """The planted faults."""
    versions: dict[str, str]

    def cell(self, fault: str, subject: str) -> Cell | None:
        return next((cell for cell in self.cells if (cell.fault, cell.subject) == (fault, subject)), None)

    @property
    def unconvicted(self) -> list[Cell]:
        """Planted faults that were not found."""
        return [cell for cell in self.suspects if not cell.broken]

    @property
    def wrong(self) -> list[Cell]:
        """Where a declared guarantee did not hold, or the lab could not do its work."""
        return [cell for cell in self.cells if cell.broken or cell.failed]


def run(
    subjects: Sequence[str],
    faults: Sequence[str],
    *,
    seed: int,
    cancelled: threading.Event,
    at_a_time: int | None = None,
    at_once: tuple[int, str] | None = None,
    on_cell: Callable[[Cell], None] = lambda _: None,
) -> Matrix:
    """Try everything on everything.

    Args:
        subjects: names of `SUBJECTS`.
        faults: names of `FAULTS`.
        seed: of all that is left to chance.
        cancelled: ends it; what was begun is cleaned up.
        at_a_time: how many trials; None for what this machine can do.
        at_once: how many messages are at work at once in each of Townpost's consumers, and in what: ``threads`` or
            ``loop``.
        on_cell: is told of each cell when it is there, in whatever order.

    Raises:
        CancelledError: it was ended early.
    """
    chosen = [SUBJECTS[name] if at_once is None else SUBJECTS[name].at_once(*at_once) for name in subjects]
    wanted = [(subject, FAULTS[fault]) for fault in faults for subject in chosen]
    wanted += [(SUSPECTS[name], FAULTS[fault]) for name, fault in PLANTED.items()]
    found: list[Cell] = []
    with ThreadPoolExecutor(at_a_time or _AT_A_TIME_PER_CORE * (os.cpu_count() or 1)) as pool:
        running: set[Future[Cell]] = {pool.submit(attempt, *pair, seed, cancelled) for pair in wanted}
        while running:
            done, running = wait(running, _GLANCE_SECONDS, FIRST_COMPLETED)
            for future in done:
                if cancelled.is_set():
                    continue
                found.append(future.result())
                on_cell(found[-1])
            if cancelled.is_set():
                for future in running:
                    future.cancel()
                running = {future for future in running if not future.cancelled()}
    if cancelled.is_set():
        raise CancelledError
    by_place = {(cell.subject, cell.fault): cell for cell in found}
    cells = [by_place[subject.name, fault.name] for subject, fault in wanted]
    count = len(subjects) * len(faults)
    return Matrix(
        seed=seed,
        subjects=tuple(subjects),
        faults=tuple(faults),
        cells=tuple(cells[:count]),
        suspects=tuple(cells[count:]),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    said = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, check=False).stdout.split()
    server = next((word.removeprefix("v=") for word in said if word.startswith("v=")), "unknown")
    return {
        "server": f"{said[0] if said else 'server'} {server}",
        "redis-py": version("redis"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
