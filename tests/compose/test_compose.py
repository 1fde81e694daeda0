"""The real thing: `docker compose up --build`, as a user runs it. Needs a Docker engine and the two base images."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from lab.processes import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]

PROJECT = f"townpost-test-{os.getpid()}"
PORT = "18321"
"""Of the dashboard, out of the way of one that somebody uses."""


class Stack:
    """One compose project of our own."""

    project = PROJECT

    def compose(self, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, *arguments],
            cwd=ROOT,
            env={**os.environ, "PUBLISH_INTERVAL": "0.3", "DASHBOARD_PORT": PORT, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def logs(self, service: str, since: str | None = None) -> str:
        return self.compose("logs", "--no-color", *(["--since", since] if since else []), service)

    def container(self, service: str, index: int = 1) -> str:
        return f"{self.project}-{service}-{index}"

    def inspect(self, container: str, template: str) -> str:
        command = ["docker", "inspect", "--format", template, container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.25)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    try:
        stack.compose("up", "--build", "--detach")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--rmi", "local", "--timeout", "5")


def received(log: str, source: str) -> list[tuple[str, int]]:
    """(container, number of the message) for each printed line."""
    pattern = rf"^(\S+)\s+\| .*Hello from Python #(\d+) .*\[Received #\d+ from {source}\]$"
    return [(name, int(number)) for name, number in re.findall(pattern, log, re.MULTILINE)]


def test_both_patterns_reach_the_subscriber(stack: Stack) -> None:
    until(lambda: len(received(stack.logs("subscriber"), "pub-sub")) >= 2)
    until(lambda: len(received(stack.logs("subscriber"), "queue")) >= 2)


def test_all_containers_become_healthy(stack: Stack) -> None:
    for service in ("redis", "publisher", "subscriber", "dashboard"):
        until(lambda s=service: stack.inspect(stack.container(s), "{{.State.Health.Status}}") == "healthy")  # type: ignore[misc]  # mypy infers no lambda that has a default


def test_no_container_runs_as_root_with_a_writable_root(stack: Stack) -> None:
    for service in ("publisher", "subscriber", "dashboard"):
        container = stack.container(service)

        assert stack.inspect(container, "{{.Config.User}}") == "10001:10001"
        assert stack.inspect(container, "{{.HostConfig.ReadonlyRootfs}}") == "true"


def test_no_port_of_redis_is_published(stack: Stack) -> None:
    assert stack.inspect(stack.container("redis"), "{{json .HostConfig.PortBindings}}") in ("{}", "null")


def test_the_dashboard_is_published_on_loopback_only(stack: Stack) -> None:
    bindings = json.loads(stack.inspect(stack.container("dashboard"), "{{json .HostConfig.PortBindings}}"))

    assert [binding["HostIp"] for ports in bindings.values() for binding in ports] == ["127.0.0.1"]


def test_the_dashboard_shows_who_runs_and_may_write(stack: Stack) -> None:
    def instances() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/snapshot") as answer:
            return sorted(one["role"] for one in json.load(answer)["instances"] if one["state"] == "working")

    until(lambda: "open http://localhost:" in stack.logs("dashboard"))
    until(lambda: instances() == ["publisher", "subscriber"])
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/session") as answer:
        assert json.load(answer)["write"] is True


def test_of_three_subscribers_all_get_a_publication_and_one_gets_a_queued_message(stack: Stack) -> None:
    # Given three subscribers
    stack.compose("up", "--detach", "--scale", "subscriber=3")
    until(lambda: len({name for name, _ in received(stack.logs("subscriber"), "pub-sub")}) == 3)
    start = max(number for _, number in received(stack.logs("subscriber"), "pub-sub"))

    # When ten more messages were sent
    until(lambda: max(n for _, n in received(stack.logs("subscriber"), "pub-sub")) >= start + 12)
    log = stack.logs("subscriber")

    # Then each was printed three times from pub-sub, and once from queue
    for number in range(start + 1, start + 11):
        assert len([n for _, n in received(log, "pub-sub") if n == number]) == 3
        assert len([n for _, n in received(log, "queue") if n == number]) == 1


def test_what_was_sent_while_the_subscriber_was_stopped_is_gone_or_waited(stack: Stack) -> None:
    # Given one subscriber, stopped
    stack.compose("up", "--detach", "--scale", "subscriber=1")
    until(lambda: bool(received(stack.logs("subscriber"), "pub-sub")))
    stack.compose("stop", "subscriber")
    first = max(number for _, number in received(stack.logs("subscriber"), "queue"))

    # When more is sent, and it starts again
    until(lambda: f"sent #{first + 10} to list" in stack.logs("publisher"))
    stack.compose("start", "subscriber")
    until(lambda: max(number for _, number in received(stack.logs("subscriber"), "pub-sub")) > first + 10)

    # Then what was published is gone, and what was queued waited
    meanwhile = set(range(first + 2, first + 10))
    log = stack.logs("subscriber")
    assert meanwhile <= {number for _, number in received(log, "queue")}
    assert not meanwhile & {number for _, number in received(log, "pub-sub")}


def test_a_restart_of_redis_is_survived(stack: Stack) -> None:
    # Given services that exchange messages
    before = stack.inspect(stack.container("subscriber"), "{{.State.StartedAt}}")
    until(lambda: bool(received(stack.logs("subscriber"), "queue")))
    first = max(number for _, number in received(stack.logs("subscriber"), "queue"))

    # When Redis restarts
    stack.compose("restart", "redis")

    # Then the subscriber says so (the publisher only if it wanted to send meanwhile), both go on, and nothing died
    until(lambda: "Redis is back after" in stack.logs("subscriber"))
    start = max(number for _, number in received(stack.logs("subscriber"), "queue"))
    until(lambda: max(n for _, n in received(stack.logs("subscriber"), "queue")) >= start + 3)
    until(lambda: max(n for _, n in received(stack.logs("subscriber"), "pub-sub")) >= start + 3)
    assert stack.inspect(stack.container("subscriber"), "{{.State.StartedAt}}") == before
    # and every queued message since arrived
    queued = {number for _, number in received(stack.logs("subscriber"), "queue")}
    assert queued >= set(range(first, start + 4))


def test_what_is_queued_survives_a_restart_of_redis(stack: Stack) -> None:
    stack.compose("exec", "-T", "redis", "redis-cli", "RPUSH", "kept", "a", "b")

    stack.compose("restart", "redis")

    until(lambda: "2" in stack.compose("exec", "-T", "redis", "redis-cli", "LLEN", "kept"))


def test_a_message_of_redis_cli_is_printed(stack: Stack) -> None:
    message = (
        '{"id":"0b9f7a52-7c5a-4f7e-8f9e-2f1f3d0a1c11","timestamp":"2025-03-29T08:32:00",'
        '"message":"from the command line","sender":"redis-cli","count":1}'
    )

    stack.compose("exec", "-T", "redis", "redis-cli", "RPUSH", "message_queue", message)
    # the subscribers may still be on their way back from the restart above
    until(lambda: stack.compose("exec", "-T", "redis", "redis-cli", "PUBLISH", "messages", message).strip() != "0")

    line = "[2025-03-29 08:32:00] [redis-cli] from the command line (ID: 0b9f7a52-7c5a-4f7e-8f9e-2f1f3d0a1c11)"
    until(lambda: re.search(re.escape(line) + r" \[Received #\d+ from queue\]", stack.logs("subscriber")) is not None)
    until(lambda: re.search(re.escape(line) + r" \[Received #\d+ from pub-sub\]", stack.logs("subscriber")) is not None)


def test_the_readmes_publisher_sends_one_message(stack: Stack) -> None:
    assert 'docker compose run --rm publisher python -m publisher "Good morning"' in (ROOT / "README.md").read_text()

    stack.compose("run", "--rm", "-T", "publisher", "python", "-m", "publisher", "Good morning")

    until(lambda: re.search(r"\] Good morning .* from queue\]", stack.logs("subscriber")) is not None)


def test_stopping_is_clean(stack: Stack) -> None:
    stack.compose("stop", "publisher", "subscriber")

    for container in (stack.container("publisher"), stack.container("subscriber")):
        assert stack.inspect(container, "{{.State.ExitCode}}") == "0"
    assert "total on queue" in stack.logs("publisher")
    assert "total from pub-sub" in stack.logs("subscriber")


def test_pattern_chooses_the_path(stack: Stack) -> None:
    # Given nothing running, and PATTERN=queue
    stack.compose("rm", "--force", "--stop", "publisher", "subscriber")

    # When the services start
    stack.compose("up", "--detach", PATTERN="queue")
    until(lambda: len(received(stack.logs("subscriber"), "queue")) >= 2)

    # Then nothing goes over pub/sub
    assert not received(stack.logs("subscriber"), "pub-sub")


def test_the_work_of_a_killed_subscriber_is_taken_up_by_the_others(stack: Stack) -> None:
    # Given three subscribers with slow work in flight
    stack.compose("rm", "--force", "--stop", "publisher", "subscriber")
    settings = {"PATTERN": "all", "HANDLER": "examples.slow:slow", "LEASE_SECONDS": "3"}
    stack.compose("up", "--detach", "--scale", "subscriber=3", **settings)
    until(lambda: len(re.findall("begun", stack.logs("subscriber"))) >= 12)

    # When the process of one is killed from outside
    os.kill(int(stack.inspect(stack.container("subscriber"), "{{.State.Pid}}")), signal.SIGKILL)

    # Then the others take its work up, and it is started again
    until(lambda: "of a lost consumer" in stack.logs("subscriber"))
    until(lambda: stack.inspect(stack.container("subscriber"), "{{.RestartCount}}") == "1")


def test_every_variable_of_the_example_reaches_the_services_it_is_for(stack: Stack) -> None:
    text = (ROOT / ".env.example").read_text()
    names = set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))
    (tasks,) = re.findall(r"# --- Tasks(.*?)# --- ", text, re.DOTALL)
    of_tasks = set(re.findall(r"^([A-Z_]+)=", tasks, re.MULTILINE))
    of_dashboard = {name for name in names if name.startswith("DASHBOARD_")}
    given = {name: f"value-of-{name}" for name in names} | {"API_PORT": "8321", "DASHBOARD_PORT": PORT}

    config = json.loads(stack.compose("--profile", "tasks", "config", "--format", "json", **given))

    wanted = {
        **dict.fromkeys(("publisher", "subscriber"), names - of_tasks - of_dashboard),
        **dict.fromkeys(("tasks-api", "tasks-indexer"), names - of_dashboard),
        "dashboard": names - of_tasks,
    }
    for service, variables in wanted.items():
        assert {name: given[name] for name in variables}.items() <= config["services"][service]["environment"].items()
