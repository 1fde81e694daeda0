"""The worked application as a story: API and indexer as processes, a customer, and an indexer that goes away."""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from lab.processes import Process
from lab.server import Server
from townpost import PATTERNS, Settings, endpoint

__all__ = ["options", "run"]

_WAIT_SECONDS = 40.0
_WIDTH = 100
_BOLD, _DIM, _CYAN, _YELLOW, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[33m", "\x1b[0m"
_OTHERS = {
    "pubsub": "Redis forgets what nobody heard. The indexer makes up for it by asking the API what has changed.",
    "reliable": "Redis keeps each event until the indexer has saved it. There is nothing to make up for.",
}


class _Ended(Exception):  # noqa: N818 - nothing went wrong
    """Ctrl-C or SIGTERM."""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pace", type=float, default=1.0, help="seconds to read a step (default: %(default)s)")


def run(given: argparse.Namespace) -> int:
    """Tell it once; the exit status."""
    settings = Settings.read()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    colour = not settings.no_color and (bool(settings.force_color) or sys.stdout.isatty())
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="townpost-tasks-")))
            url = settings.redis_url or stack.enter_context(Server()).url
            story = _Story(url, folder, pace=given.pace, colour=colour)
            stack.callback(story.close)
            _tell(story)
    except _Ended:
        return 0
    except (TimeoutError, httpx.HTTPError) as error:
        raise RuntimeError(f"the story cannot go on: {error}") from error
    print(
        f"\nThat took {time.monotonic() - started:.0f} s. Everything is stopped and removed. docs/tasks.md tells more."
    )
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise _Ended


def _tell(story: "_Story") -> None:
    story.title("Tasks: a REST API, its events on Redis, and a search index that follows them")
    story.note(f"Redis at {endpoint(story.redis_url)}; database and index are two files in {story.folder}")

    with story.services("pubsub"):
        story.chapter("A customer creates two tasks. Each is stored, and an event tells of it (PATTERN=pubsub)")
        letter = story.create("Write to the town council", priority="high")
        story.create("Repair the post box")

        story.chapter("The indexer heard the events: search finds the tasks")
        story.search(text="council")

        story.chapter("An update is an event, too")
        letter = story.update(letter, "Write to the mayor", priority="high")
        story.search(text="council")
        story.search(text="mayor", priority="high")

        _go_away(story, letter, "Thank the mayor", "Order stamps")

    with story.services("reliable"):
        story.chapter("Once more with PATTERN=reliable: the same two programs, the events in a queue")
        stamps = story.create("Ring the bell")
        _go_away(story, stamps, "Ring the bell twice", "Oil the hinges")


def _go_away(story: "_Story", old: Mapping[str, Any], new: str, more: str) -> None:
    """The indexer stops, things change, and it comes back."""
    story.chapter("Now the indexer stops, and customers go on")
    story.stop_indexer()
    story.update(old, new, heard=False)
    story.create(more, heard=False)
    story.note("The search still answers, but knows nothing of it:")
    story.search(text=new)

    story.chapter("The indexer starts again")
    story.start_indexer()
    story.caught_up()
    story.search(text=new)
    story.note(_OTHERS[story.pattern])


class _Story:
    """Customer, services and narrator in one."""

    def __init__(self, redis_url: str, folder: Path, *, pace: float, colour: bool) -> None:
        self.redis_url = redis_url
        self.folder = folder
        self.pattern = ""
        self._pace = pace
        self._colour = colour
        self._chapters = 0
        self._changes_unheard: list[int] = []
        self._environment: dict[str, str] = {}
        self._api: Process | None = None
        self._indexer: Process | None = None
        self._http = httpx.Client(timeout=_WAIT_SECONDS, trust_env=False)

    def close(self) -> None:
        self._http.close()

    # --- the narrator

    def title(self, text: str) -> None:
        self._print(self._in(_BOLD, text))

    def note(self, text: str) -> None:
        for line in textwrap.wrap(text, _WIDTH):
            self._print("   " + self._in(_DIM, line))

    def chapter(self, text: str) -> None:
        time.sleep(self._pace)
        self._chapters += 1
        self._print("\n" + self._in(_BOLD, f"{self._chapters}. {text}"))
        time.sleep(self._pace / 2)

    # --- the services

    @contextlib.contextmanager
    def services(self, pattern: str) -> Iterator[None]:
        """Both run until the end of the `with`."""
        self.pattern = pattern
        self._environment = {
            "REDIS_URL": self.redis_url,
            "PATTERN": pattern,
            "DATABASE_URL": f"sqlite:///{self.folder}/tasks.db",
            "INDEX_URL": f"sqlite:///{self.folder}/index.db",
            "API_HOST": "127.0.0.1",
            "API_PORT": "0",
        }
        try:
            self._api = Process("tasks.api", environment=self._environment)
            (line,) = self._api.wait_for("listening on", timeout=_WAIT_SECONDS)
            self._environment["API_URL"] = line.partition("listening on ")[2].partition(",")[0]
            self._http.base_url = self._environment["API_URL"]
            self.start_indexer()
            yield
        finally:
            for process in (self._indexer, self._api):
                if process is not None and process.status is None:
                    process.stop()

    def start_indexer(self) -> None:
        self._indexer = Process("tasks.indexer", environment=self._environment)
        self._indexer.wait_for("connected to Redis", timeout=_WAIT_SECONDS)

    def stop_indexer(self) -> None:
        assert self._indexer is not None  # noqa: S101 - services() started it
        self._indexer.stop()
        self._show("indexer", self._indexer, "total: ")
        self._changes_unheard.clear()

    def caught_up(self) -> None:
        """What the indexer says when it has."""
        assert self._indexer is not None  # noqa: S101 - services() started it
        if not PATTERNS[self.pattern].guarantees.durable:
            self._show("indexer", self._indexer, "healed")
            return
        for change in self._changes_unheard:
            self._show("indexer", self._indexer, f"change {change}")

    # --- the customer

    def create(self, description: str, *, heard: bool = True, **fields: str) -> dict[str, Any]:
        return self._change("POST", "/tasks", {"description": description} | fields, heard=heard)

    def update(self, task: Mapping[str, Any], description: str, *, heard: bool = True, **fields: str) -> dict[str, Any]:
        body = {"description": description} | fields
        return self._change("PUT", f"/tasks/{task['id']}", body, heard=heard)

    def search(self, **criteria: str) -> None:
        hits = self._ask("POST", "/search/tasks", criteria)
        found = "; ".join(task["description"] for task in hits["tasks"])
        self._print(f"     found {hits['total']}{': ' if found else ''}{self._in(_BOLD, found)}")

    def _change(self, method: str, path: str, body: Mapping[str, str], *, heard: bool) -> dict[str, Any]:
        task = self._ask(method, path, body)
        assert self._api is not None  # noqa: S101 - services() started both
        assert self._indexer is not None  # noqa: S101 - services() started both
        self._show("api", self._api, f"sent event #{task['change']} ")
        if heard:
            self._show("indexer", self._indexer, f"change {task['change']}")
        else:
            self._changes_unheard.append(task["change"])
        return task

    def _ask(self, method: str, path: str, body: Mapping[str, str]) -> dict[str, Any]:
        self._print(f"   {self._in(_CYAN, f'{method} {path}')} {json.dumps(body)}")
        response = self._http.request(method, path, json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def _show(self, name: str, process: Process, *words: str) -> None:
        """The service's own line, as soon as it is there."""
        line = process.wait_for(*words, timeout=_WAIT_SECONDS)[-1]
        line = line.partition("] ")[2].partition(": ")[2].partition("; from ")[0]  # without moment, part and latency
        self._print(f"     {self._in(_DIM, f'{name:<7} |')} {self._in(_YELLOW if 'WARNING' in line else '', line)}")

    def _in(self, style: str, text: str) -> str:
        return f"{style}{text}{_RESET}" if self._colour and style and text else text

    @staticmethod
    def _print(line: str) -> None:
        try:
            print(line, flush=True)
        except OSError:  # nobody looks any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise _Ended from None
