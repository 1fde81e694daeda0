"""A real server for the whole run, services that do not outlive their test, and a clock that does not show UTC."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

import hypothesis
import pytest
import redis

from dashboard.settings import DashboardSettings
from lab.processes import Process
from lab.server import Server, binary
from tasks.settings import TasksSettings
from townpost.redis.connection import Connection

ZONE = "<-0330>3:30<-0230>,M3.2.0,M11.1.0"
"""Of the tests and of every process they start: where local time is UTC, a naive timestamp read as local time is right
by chance. Newfoundland's rules, half an hour off and with summer time, spelled out: needs no zone files."""
os.environ["TZ"] = ZONE
time.tzset()

hypothesis.settings.register_profile("townpost", deadline=None)  # how long one example takes is the machine's affair
hypothesis.settings.load_profile("townpost")

pytest_plugins = ["user_apps", "browsing", "databases"]


def pytest_report_header() -> str:
    said = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, check=False).stdout
    return f"server: {binary()} ({said.strip()}); another one: REDIS_SERVER"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor a .env file of this machine sets anything."""
    monkeypatch.chdir(tmp_path)
    for field in {**TasksSettings.model_fields, **DashboardSettings.model_fields}:
        monkeypatch.delenv(field.upper(), raising=False)
        monkeypatch.delenv(field, raising=False)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with Server(appendfsync=None) as server:
        yield server


def _end_waits(client: redis.Redis) -> None:
    """A killed subscriber behind a relay (TLS, a proxy) may still wait on the server, and would take a message."""
    for one in client.client_list():
        if "b" in one["flags"]:
            client.client_kill_filter(_id=one["id"])


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The server, empty; and empty again afterwards."""
    with redis.Redis(port=shared_server.port) as client:
        _end_waits(client)
        client.flushall()  # a service of the test before this one may have been the last to write
        yield shared_server
        client.flushall()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    """A connection of the library's to that server."""
    with contextlib.closing(Connection(server.url)) as connection:
        connection.connect()
        yield connection


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server with AOF for tests that kill or change it."""
    with Server() as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    """A plain redis-py client: any other program."""
    with redis.Redis(port=server.port) as client:
        yield client


class Start(Protocol):
    def __call__(self, module: str, *arguments: str, url: str | None = None, **environment: str) -> Process: ...


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a service on the shared server, or where ``url`` says; whatever still runs is killed at the end."""
    started: list[Process] = []

    def _start(module: str, *arguments: str, url: str | None = None, **environment: str) -> Process:
        if url is None:
            shared: Server = request.getfixturevalue("server")
            url = shared.url
        process = Process(module, *arguments, environment={"REDIS_URL": url} | environment)
        started.append(process)
        return process

    yield _start
    for process in started:
        if process.status is None:
            process.kill()
        process.wait()


Run: TypeAlias = Callable[..., Process]


@pytest.fixture
def run(start: Start) -> Run:
    """Starts a service and waits for its end."""

    def _run(module: str, *arguments: str, url: str | None = None, **environment: str) -> Process:
        process = start(module, *arguments, url=url, **environment)
        process.wait(60)
        return process

    return _run


@pytest.fixture
def handler(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Writes a handler module; the environment that makes the subscriber use it."""

    def write(source: str) -> dict[str, str]:
        (tmp_path / "my_handler.py").write_text(source)
        return {"HANDLER": "my_handler:handle", "PYTHONPATH": str(tmp_path)}

    return write
