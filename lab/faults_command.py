"""`python -m lab faults`: every pattern through real faults, and a matrix of what became of the messages."""

import argparse
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from lab.faults import FAULTS
from lab.report import data, markdown, picture, terminal
from lab.trials.run import run as try_all
from lab.trials.subjects import PLANTED, SUBJECTS
from lab.trials.town import CancelledError
from townpost import SettingError

__all__ = ["options", "run"]

_INTERRUPTED = 130


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faults", metavar="NAMES", help="only these, separated by commas; --list names them")
    parser.add_argument("--patterns", metavar="NAMES", help=f"only these, of {', '.join(SUBJECTS)}")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance (default: 1)")
    parser.add_argument("--quick", action="store_true", help="the few faults that tell most, in under 90 s")
    parser.add_argument("--at-a-time", type=int, metavar="N", help="how many trials (default: two for each core)")
    parser.add_argument(
        "--runner", choices=("threads", "loop"), help="Townpost's consumers have several messages at work at once"
    )
    parser.add_argument(
        "--concurrency", type=int, default=20, metavar="N", help="how many, with --runner (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="write data/faults.json, data/faults.svg and faults.md there (or renew the table in its guarantees.md)",
    )
    parser.add_argument("--list", action="store_true", help="what each fault does, how, and what to expect")


def run(given: argparse.Namespace) -> int:
    """The exit status: 1 when a declared guarantee was broken or a planted fault was not found.

    Raises:
        SettingError: a name that nobody has.
    """
    if given.list:
        for fault in FAULTS.values():
            print(f"{fault.name}\n    " + fault.story.replace("\n", "\n    ") + "\n")
        return 0
    subjects = _names(given.patterns, SUBJECTS, "--patterns")
    faults = _names(given.faults, FAULTS, "--faults")
    if given.quick:
        faults = [name for name in faults if FAULTS[name].quick]
    folder = Path(given.out) if given.out else None
    if folder is not None and not folder.is_dir():
        raise SettingError(f"--out {folder}: there is no such folder")
    cancelled = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: cancelled.set())
    try:
        with terminal.Watch(len(subjects) * len(faults) + len(PLANTED)) as watch:
            matrix = try_all(
                subjects,
                faults,
                seed=given.seed,
                cancelled=cancelled,
                at_a_time=given.at_a_time,
                at_once=(given.concurrency, given.runner) if given.runner else None,
                on_cell=watch,
            )
    except CancelledError:
        sys.stderr.write("lab: interrupted; what was running is stopped and removed\n")
        return _INTERRUPTED
    terminal.show(matrix)
    if folder is not None:
        generated = folder / "data"
        generated.mkdir(exist_ok=True)
        (generated / "faults.json").write_text(data.dumps(matrix))
        (generated / "faults.svg").write_text(picture.draw(matrix))
        if not markdown.renew(folder / "guarantees.md", matrix):
            (folder / "faults.md").write_text(markdown.table(matrix))
    return 1 if matrix.wrong or matrix.unconvicted else 0


def _names(given: str | None, known: Mapping[str, object], option: str) -> list[str]:
    names = given.split(",") if given else list(known)
    for name in names:
        if name not in known:
            raise SettingError(f"{option} {name}: there is none of that name; choose from {', '.join(known)}")
    return names
