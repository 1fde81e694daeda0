"""What the tests of the dashboard's server share: one that runs, asked as a page asks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import pytest
from conftest import Start
from loopback import NO_TLS

from lab.processes import Process

T = TypeVar("T")

WRITES = {"X-Townpost": "1"}


def until(look: Callable[[], T], seconds: float = 20.0) -> T:
    """What it sees, once that is true."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"it did not come to that in {seconds} s"
        time.sleep(0.02)
    return seen


class Board:
    """One dashboard and a client."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = process.wait_for("open http")[0].rpartition("open ")[2]
        self.client = httpx.Client(base_url=self.url, timeout=20, trust_env=False, verify=NO_TLS)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def post(self, path: str, content: object, **headers: str) -> httpx.Response:
        return self.client.post(path, json=content, headers={**WRITES, **headers})

    def json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def snapshot(self) -> Any:  # noqa: ANN401 - JSON
        return self.json("/api/snapshot")

    def pattern(self, name: str) -> Any:  # noqa: ANN401 - JSON
        seen = until(lambda: (s := self.snapshot())["number"] and s)  # nothing is known before the first look
        return next((view for view in seen["patterns"] if view["name"] == name), None)

    def instances(self, role: str) -> list[Any]:
        return [one for one in self.snapshot()["instances"] if one["role"] == role]

    def states(self, role: str) -> list[str]:
        return [one["state"] for one in self.instances(role)]


MakeBoard = Callable[..., Board]


@pytest.fixture
def board(start: Start) -> Iterator[MakeBoard]:
    made: list[Board] = []

    def make(url: str | None = None, **environment: str) -> Board:
        settings = {"DASHBOARD_PORT": "0", "DASHBOARD_WRITE": "1"} | environment
        made.append(Board(start("dashboard", url=url, **settings)))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


class Page:
    """The stream of events that an open page reads."""

    def __init__(self, board: Board) -> None:
        self.events: list[tuple[str, Any]] = []
        self.ended = threading.Event()
        self._client = httpx.Client(base_url=board.url, timeout=30, trust_env=False, verify=NO_TLS)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def named(self, name: str) -> list[Any]:
        return [data for kind, data in list(self.events) if kind == name]

    def seen(self) -> list[Any]:
        """All lines of the feed so far."""
        return [line for lines in self.named("seen") for line in lines]

    def close(self) -> None:
        self._client.close()

    def join(self) -> None:
        """It notices that it is closed when the next event comes, within a second."""
        self._thread.join(5)

    def _read(self) -> None:
        kind = ""
        try:
            with self._client.stream("GET", "/api/events") as answer:
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        self.events.append((kind, json.loads(value)))
        except (httpx.HTTPError, RuntimeError, OSError):
            pass
        finally:
            self.ended.set()


@contextmanager
def opened(board: Board, count: int = 1) -> Iterator[list[Page]]:
    """So many pages, each with its first snapshot."""
    pages = [Page(board) for _ in range(count)]
    try:
        for page in pages:
            until(lambda page=page: page.named("snapshot"))  # type: ignore[misc]  # bound at once
        yield pages
    finally:
        for page in pages:
            page.close()
        for page in pages:
            page.join()
