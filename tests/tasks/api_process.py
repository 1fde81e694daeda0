"""The API as a process of its own, and what a customer does to it."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
from conftest import Start
from loopback import NO_TLS

__all__ = ["ApiProcess", "until"]


class ApiProcess:
    """Started on a free port; what still runs at the end of the test, the fixture `start` kills."""

    def __init__(self, start: Start, database_url: str, redis_url: str, **environment: str) -> None:
        given = {"DATABASE_URL": database_url, "API_PORT": "0"}
        self.process = start("tasks.api", url=redis_url, **(given | environment))
        [line] = self.process.wait_for("listening on")
        found = re.search(r"http://\S+?:\d+", line)
        assert found is not None
        self.url = found[0]

    def create(self, description: str = "a task") -> dict[str, Any]:
        return self.ask("POST", "/tasks", {"description": description})

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = httpx.request(method, self.url + path, json=body, timeout=30, verify=NO_TLS)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def pending(self) -> int:
        return int(self.ask("GET", "/healthz")["events"]["pending"])


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for it, and fail if it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
