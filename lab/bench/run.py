"""python -m lab bench: measure, show, write."""

import argparse
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from rich.console import Console

from lab.bench.contestants import Contestant
from lab.bench.figures import Figure, Result
from lab.bench.ground import Ground, ground
from lab.bench.markdown import renew
from lab.bench.measures import depth, drain, idle, latency, leak, memory, publish, pubsub, scaling, size, tasks, waiting
from lab.bench.measures.extent import Extent
from lab.bench.peers.registry import peers
from lab.bench.picture import svg
from lab.bench.table import show
from townpost import Settings

__all__ = ["options", "run"]

MEASURES: dict[str, Callable[[Ground, Extent], list[Figure]]] = {
    "drain": drain.measure,
    "publish": publish.measure,
    "pubsub": pubsub.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "idle": idle.measure,
    "scaling": scaling.measure,
    "depth": depth.measure,
    "size": size.measure,
    "tasks": tasks.measure,
    "waiting": waiting.measure,
    "leak": leak.measure,
}
_ASKED_FOR = ("leak",)
"""Takes too long to be part of every run."""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", action="append", choices=MEASURES, metavar="MEASURE", help=f"one or more of {', '.join(MEASURES)}"
    )
    parser.add_argument("--peers", choices=("yes", "no"), default="yes", help="take the others along (default: yes)")
    parser.add_argument("--peer", action="append", metavar="NAME", help="only those whose name begins so")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of messages (default: 1)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write data/bench.json and data/bench.svg there")


def run(given: argparse.Namespace) -> int:
    """Until everything is measured, or Ctrl-C; the exit status."""
    ending = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        ending.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    settings = Settings.read()
    started = time.monotonic()
    errors = Console(stderr=True)
    result = Result(context={})

    def say(line: str) -> None:
        if ending.is_set():  # amid a fork Python lets no exception through
            raise KeyboardInterrupt
        errors.print(f"{time.monotonic() - started:5.0f} s  {line}", style="dim", highlight=False, markup=False)

    interrupted = True
    with suppress(KeyboardInterrupt), ground(settings.redis_url) as here:
        others = peers(say, given.peer or ()) if given.peers == "yes" else []
        result.context |= _context(here, others, given)
        extent = Extent(max(1, given.rounds), given.scale, others, say)
        for name in given.only or (name for name in MEASURES if name not in _ASKED_FOR):
            result.figures += MEASURES[name](here, extent)
        interrupted = False
    result.context["seconds"] = f"{time.monotonic() - started:.0f}"
    show(result, Console(width=None if sys.stdout.isatty() else 150))
    if given.out is not None:
        folder = given.out / "data"
        folder.mkdir(parents=True, exist_ok=True)
        text = result.to_json()
        rounded = Result.from_json(text)  # what is drawn and told is what is written down
        (folder / "bench.json").write_text(text)
        (folder / "bench.svg").write_text(svg(rounded))
        renew(given.out / "performance.md", rounded)
    return 130 if interrupted else 0


def _context(here: Ground, others: list[Contestant], given: argparse.Namespace) -> dict[str, str]:
    names = ("redis", "hiredis", "pydantic")
    versions = [f"{name} {version(name)}" for name in names]
    versions += dict.fromkeys(peer.version for peer in others if peer.version)
    server = here.text("valkey_version")
    return {
        "server": f"valkey {server}" if server else f"redis {here.text('redis_version')}",
        "Python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "rounds": str(given.rounds),
        "scale": f"{given.scale:g}",
        "versions": ", ".join(versions),
    }
