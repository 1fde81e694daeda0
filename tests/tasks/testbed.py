"""API and indexer as processes, and what a customer does with them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx
from loopback import NO_TLS
from ports import free_port

from lab.processes import Process

_START_SECONDS = 40.0
"""Much longer than it takes, for machines that have other things to do as well."""

__all__ = ["MakeTestbed", "Testbed", "making_testbeds", "until"]


def until(condition: Callable[[], object], seconds: float = 40, said: Callable[[], str] = str) -> None:
    """Wait until it holds, or fail with what ``said`` says."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.02)


class Testbed:
    """Use it in a `with`: whatever still runs at its end is killed."""

    __test__ = False  # pytest takes a name that begins so for tests

    def __init__(self, redis_url: str, folder: Path, pattern: str = "pubsub", **settings: str) -> None:
        self.folder = folder
        port = free_port()
        self.environment = {
            "REDIS_URL": redis_url,
            "PATTERN": pattern,
            "DATABASE_URL": f"sqlite:///{folder}/tasks.db",
            "INDEX_URL": f"sqlite:///{folder}/index.db",
            "API_PORT": str(port),
            "API_URL": f"http://127.0.0.1:{port}",
            "LEASE_SECONDS": "1",
            **settings,
        }
        self.http = httpx.Client(base_url=self.environment["API_URL"], timeout=30, trust_env=False, verify=NO_TLS)
        self.api: Process | None = None
        self.indexer: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        for process in (self.api, self.indexer):
            if process is not None:
                if process.status is None:
                    process.kill()
                process.wait()

    def start_api(self, **settings: str) -> Process:
        self.api = Process("tasks.api", environment=self.environment | settings)
        self.api.wait_for("listening on", timeout=_START_SECONDS)
        return self.api

    def start_indexer(self, **settings: str) -> Process:
        self.indexer = Process("tasks.indexer", environment=self.environment | settings)
        return self.indexer

    def start(self, **settings: str) -> Process:
        """Both; the indexer, which listens."""
        self.start_api(**settings)
        indexer = self.start_indexer(**settings)
        indexer.wait_for("connected to Redis", timeout=_START_SECONDS)
        return indexer

    def create(self, description: str = "buy milk", **fields: object) -> dict[str, Any]:
        return self._ok(self.http.post("/tasks", json={"description": description} | fields))

    def replace(self, task: dict[str, Any], description: str, **fields: object) -> dict[str, Any]:
        return self._ok(self.http.put(f"/tasks/{task['id']}", json={"description": description} | fields))

    def delete(self, task: dict[str, Any]) -> None:
        self._ok(self.http.delete(f"/tasks/{task['id']}"))

    def found(self, **criteria: object) -> list[str]:
        """Descriptions of what a search finds."""
        hits = self._ok(self.http.post("/search/tasks", json=criteria))
        return [task["description"] for task in hits["tasks"]]

    def total(self) -> int:
        """How many tasks the index has."""
        return int(self._ok(self.http.post("/search/tasks", json={}))["total"])

    def until_found(self, *descriptions: str, **criteria: object) -> None:
        until(
            lambda: sorted(self.found(**criteria)) == sorted(descriptions),
            said=lambda: f"{self.found(**criteria)}:\n" + "\n".join(self.indexer.lines if self.indexer else []),
        )

    @staticmethod
    def _ok(response: httpx.Response) -> dict[str, Any]:
        assert response.is_success, f"{response.status_code}: {response.text}"
        body: dict[str, Any] = response.json()
        return body


MakeTestbed: TypeAlias = Callable[..., Testbed]


def making_testbeds(redis_url: str, folder: Path) -> Iterator[MakeTestbed]:
    """For a fixture: makes testbeds at this Redis, or where ``redis_url`` says; none outlives its test."""
    default = redis_url
    with ExitStack() as testbeds:

        def make(pattern: str, *, redis_url: str | None = None, **settings: str) -> Testbed:
            return testbeds.enter_context(Testbed(redis_url or default, folder, pattern, **settings))

        yield make
