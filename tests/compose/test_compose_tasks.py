"""The profile `tasks` as a user runs it, with the files of the embedded database and index instead of two servers.

PostgreSQL and Elasticsearch have no images here: their part of the profile is validated, not run.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from ports import free_port
from test_compose import Stack, until

from lab.processes import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

PORT = free_port()
SERVICES = ("redis", "tasks-api", "tasks-indexer")
EMBEDDED = {
    "API_PORT": str(PORT),
    "DATABASE_URL": "sqlite:////data/tasks.db",
    "INDEX_URL": "sqlite:////data/index.db",
    "CHECK_SECONDS": "1",
}


class TasksStack(Stack):
    """A project of its own beside that of the other tests."""

    project = f"townpost-tasks-test-{os.getpid()}"

    def compose(self, *arguments: str, **environment: str) -> str:
        return super().compose("--profile", "tasks", *arguments, **EMBEDDED, **environment)


@pytest.fixture(scope="module")
def stack() -> Iterator[TasksStack]:
    stack = TasksStack()
    try:
        stack.compose("build", "tasks-api", "tasks-indexer")
        stack.compose("up", "--detach", "--no-deps", *SERVICES)
        yield stack
    finally:
        stack.compose("down", "--volumes", "--rmi", "local", "--timeout", "5")


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=10, trust_env=False) as http:
        yield http


def found(http: httpx.Client, **criteria: object) -> list[str]:
    return [task["description"] for task in http.post("/search/tasks", json=criteria).json()["tasks"]]


def test_api_and_indexer_become_healthy(stack: TasksStack) -> None:
    for service in SERVICES:
        until(lambda s=service: stack.inspect(stack.container(s), "{{.State.Health.Status}}") == "healthy")  # type: ignore[misc]  # mypy infers no lambda that has a default


def test_a_created_task_is_found_by_search(stack: TasksStack, http: httpx.Client) -> None:
    command = ["curl", "-sf", "-H", "Content-Type: application/json", "-d", '{"description": "Write to the council"}']

    made = subprocess.run([*command, f"http://127.0.0.1:{PORT}/tasks"], capture_output=True, check=True)

    assert json.loads(made.stdout)["version"] == 1
    until(lambda: found(http, text="council") == ["Write to the council"])
    assert "saved 1: change 1" in stack.logs("tasks-indexer") or "healed 1" in stack.logs("tasks-indexer")


def test_what_changed_while_the_indexer_was_stopped_is_healed(stack: TasksStack, http: httpx.Client) -> None:
    stack.compose("stop", "tasks-indexer")
    http.post("/tasks", json={"description": "Meanwhile"})
    assert found(http, text="meanwhile") == []

    stack.compose("start", "tasks-indexer")

    until(lambda: found(http, text="meanwhile") == ["Meanwhile"])
    assert "healed 1 (at the start)" in stack.logs("tasks-indexer")
    assert stack.inspect(stack.container("tasks-indexer"), "{{.State.ExitCode}}") == "0"


def test_no_container_runs_as_root_with_a_writable_root(stack: TasksStack) -> None:
    for service in ("tasks-api", "tasks-indexer"):
        assert stack.inspect(stack.container(service), "{{.Config.User}}") == "10001:10001"
        assert stack.inspect(stack.container(service), "{{.HostConfig.ReadonlyRootfs}}") == "true"


def test_of_the_profile_only_the_api_has_a_port_and_only_on_this_machine(stack: TasksStack) -> None:
    config = json.loads(stack.compose("config", "--format", "json"))

    ports = {name: service["ports"] for name, service in config["services"].items() if "ports" in service}
    assert {name: port["host_ip"] for name, (port,) in ports.items()} == {
        "tasks-api": "127.0.0.1",
        "dashboard": "127.0.0.1",  # no part of the profile: it stands beside the core
    }


def test_without_settings_the_profile_uses_postgres_and_elasticsearch() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in EMBEDDED}
    done = subprocess.run(
        ["docker", "compose", "--profile", "tasks", "config", "--format", "json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    services: dict[str, Any] = json.loads(done.stdout)["services"]

    for name in ("tasks-api", "tasks-indexer"):
        assert services[name]["environment"]["DATABASE_URL"] == "postgresql://tasks@postgres:5432/tasks"
        assert services[name]["environment"]["INDEX_URL"] == "http://elasticsearch:9200"
        assert services[name]["environment"]["API_URL"] == "http://tasks-api:8320"
    assert services["tasks-api"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["tasks-indexer"]["depends_on"]["elasticsearch"]["condition"] == "service_healthy"
    for name in ("postgres", "elasticsearch"):
        assert services[name]["healthcheck"]["test"][0] == "CMD"
