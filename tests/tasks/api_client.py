"""The API on a port of its own in this process, on a database that is real."""

import threading
from types import TracebackType
from typing import Any, Self

import httpx
from in_memory import InMemoryIndex
from loopback import NO_TLS
from sqlalchemy import Engine

from tasks.api import app
from tasks.api.outbox import Waiting
from tasks.api.search import Search
from tasks.api.serving import Serving, bound
from tasks.api.store import Store
from tasks.settings import TasksSettings

__all__ = ["Api"]


class Api:
    """What a customer does; each method gives the answer's body. Use it in a `with`."""

    def __init__(self, engine: Engine) -> None:
        self.index = InMemoryIndex()
        self.store = Store(engine)
        application = app.make(self.store, Search(self.index), lambda: Waiting(0, 0.0))
        sock = bound(TasksSettings.read(api_port=0))
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=Serving(application, sock, self._stop, lambda: None).run)

    def __enter__(self) -> Self:
        self._thread.start()
        self.http = httpx.Client(base_url=self.url, timeout=30, verify=NO_TLS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        self._stop.set()
        self._thread.join()

    def create(self, description: str = "a task", **fields: object) -> dict[str, Any]:
        return self._ok(self.http.post("/tasks", json={"description": description} | fields), 201)

    def get(self, path: str, **parameters: int) -> dict[str, Any]:
        return self._ok(self.http.get(path, params=parameters), 200)

    def replace(self, task: dict[str, Any], **fields: object) -> dict[str, Any]:
        return self._ok(self.http.put(f"/tasks/{task['id']}", json={"description": "changed"} | fields), 200)

    def delete(self, task: dict[str, Any]) -> dict[str, Any]:
        return self._ok(self.http.delete(f"/tasks/{task['id']}"), 200)

    @staticmethod
    def _ok(response: httpx.Response, status: int) -> dict[str, Any]:
        assert response.status_code == status, response.text
        body: dict[str, Any] = response.json()
        return body
