"""Whoever is killed, in the end the index says what the database says.

Customers change tasks at random through the API, while indexer, API and Redis are killed (-9) and started again at
random moments. CHAOS_OPERATIONS and CHAOS_SEED choose another run; `pytest -s` shows the figures.
"""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from extent import thorough
from loopback import NO_TLS
from testbed import Testbed, until

from lab.server import Server

pytestmark = pytest.mark.timeout(300)

OPERATIONS = int(os.environ.get("CHAOS_OPERATIONS", thorough(2000, 150)))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
CUSTOMERS = 4
VICTIMS = ["indexer", "api", "redis"]
CONVERGED_SECONDS = 60


class Customers:
    """Threads that do so many operations between them; one that got no answer is tried again."""

    def __init__(self, url: str, operations: int) -> None:
        self._url = url
        self._left = operations
        self._ids: list[str] = []
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()
        self.unanswered = 0
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CUSTOMERS)]
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, number: int) -> None:
        chance = random.Random(SEED * 100 + number)
        with httpx.Client(base_url=self._url, timeout=10, trust_env=False, verify=NO_TLS) as http:
            while self._take():
                method, path, body = self._operation(chance)
                while (response := self._answer(http, method, path, body)) is None:
                    time.sleep(0.05)
                if response.status_code == httpx.codes.CREATED:
                    with self._lock:
                        self._ids.append(response.json()["id"])

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _operation(self, chance: random.Random) -> tuple[str, str, dict[str, Any] | None]:
        with self._lock:
            task_id = chance.choice(self._ids) if self._ids else None
        kind = chance.random()
        body = {"description": f"word{chance.randrange(50)} {chance.random()}", "is_done": chance.random() < 0.5}
        if task_id is None or kind < 0.45:
            return "POST", "/tasks", body
        return ("PUT", f"/tasks/{task_id}", body) if kind < 0.8 else ("DELETE", f"/tasks/{task_id}", None)

    def _answer(self, http: httpx.Client, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response | None:
        """None: nobody knows whether it was done."""
        try:
            response = http.request(method, path, json=body)
        except httpx.TransportError:
            self.unanswered += 1
            return None
        self.answers[response.status_code] += 1
        return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response


def _listed(testbed: Testbed) -> dict[str, Any]:
    """What the database has, by id."""
    tasks: dict[str, Any] = {}
    cursor = 0
    while True:
        page = testbed.http.get("/tasks", params={"cursor": cursor, "limit": 500}).json()
        tasks |= {task["id"]: task for task in page["tasks"]}
        if page["next"] is None:
            return tasks
        cursor = page["next"]


def _indexed(testbed: Testbed) -> dict[str, Any]:
    """What a search finds, by id."""
    tasks: dict[str, Any] = {}
    for offset in range(0, 10_000, 100):
        hits = testbed.http.post("/search/tasks", json={"limit": 100, "offset": offset}).json()
        tasks |= {task["id"]: task for task in hits["tasks"]}
        if offset + 100 >= hits["total"]:
            break
    return tasks


@pytest.mark.parametrize("pattern", ["pubsub", "reliable", "stream"])
def test_the_index_equals_the_database_whoever_was_killed(pattern: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    kills: Counter[str] = Counter()
    victims: list[str] = []
    with Server() as server, Testbed(server.url, tmp_path, pattern, CHECK_SECONDS="1") as testbed:
        # Given customers at work
        testbed.start()
        started = time.monotonic()
        customers = Customers(testbed.environment["API_URL"], OPERATIONS)

        # When one after the other is killed, in no order
        while customers.busy or sum(kills.values()) < len(VICTIMS):
            time.sleep(chance.uniform(0.1, 1.0))
            victims = victims or chance.sample(VICTIMS, len(VICTIMS))
            victim = victims.pop()
            kills[victim] += 1
            if victim == "redis":
                server.kill()
                time.sleep(chance.uniform(0, 0.5))
                server.start()
                continue
            process = testbed.indexer if victim == "indexer" else testbed.api
            assert process is not None
            process.kill()
            time.sleep(chance.uniform(0, 0.5))
            if victim == "indexer":
                testbed.start_indexer()
            else:
                testbed.start_api()
        took = time.monotonic() - started

        # Then, once all are up and events have been sent, both say the same of every task
        ended = time.monotonic()
        truth = _listed(testbed)
        until(lambda: _indexed(testbed) == truth, CONVERGED_SECONDS, lambda: _difference(truth, _indexed(testbed)))
        converged = time.monotonic() - ended
        assert testbed.indexer is not None
        until(lambda: testbed.http.get("/healthz").json()["events"]["pending"] == 0)
        print(
            f"\n{pattern}: {OPERATIONS:,} operations in {took:.1f} s, {customers.unanswered} without an answer; "
            f"killed {dict(kills)}; {len(truth)} tasks in the end, the index equal after {converged:.2f} s"
        )
        assert customers.answers[201] > OPERATIONS / 4
        assert set(kills) == set(VICTIMS)
        assert not {status for status in customers.answers if status not in (200, 201, 404, 503)}


def _difference(truth: dict[str, Any], index: dict[str, Any]) -> str:
    missing, ghosts = truth.keys() - index.keys(), index.keys() - truth.keys()
    old = [key for key in truth.keys() & index.keys() if truth[key] != index[key]]
    return f"not in the index: {len(missing)}; only there: {len(ghosts)}; not the same: {len(old)}"
