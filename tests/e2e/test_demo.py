"""`python -m lab demo`, which `make demo` runs: the services exchange messages, and nothing is left behind."""

import json
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.processes import ROOT, Process


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="townpost-test-") as name:
        yield Path(name)


def _children(pid: int) -> set[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return {int(word) for word in done.stdout.split()}


def _alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def _demo(folder: Path, *arguments: str) -> Process:
    return Process("lab", "demo", *arguments, environment={"TMPDIR": str(folder), "PUBLISH_INTERVAL": "0.2"})


@pytest.mark.alone
def test_both_services_exchange_messages_within_three_seconds(folder: Path) -> None:
    started = time.monotonic()
    demo = _demo(folder)

    demo.wait_for("subscriber | ", "Hello from Python #2", "from pub-sub")
    demo.wait_for("subscriber | ", "Hello from Python #2", "from queue")
    assert time.monotonic() - started < 3
    demo.stop()


def test_ctrl_c_leaves_no_process_and_no_file(folder: Path) -> None:
    demo = _demo(folder)
    demo.wait_for("from queue")
    demo.wait_for("dashboard  |", "open http://127.0.0.1:")
    children = _children(demo.pid)

    demo.signal(signal.SIGINT)

    assert demo.wait() == 0
    assert len(children) == 4
    assert not _alive(children)
    assert not list(folder.iterdir())
    assert demo.matching("publisher  |", "total on queue")
    assert demo.matching("subscriber |", "total from queue")


def test_not_even_a_killed_demo_leaves_a_process(folder: Path) -> None:
    demo = _demo(folder)
    demo.wait_for("from queue")
    children = _children(demo.pid)

    demo.kill()

    deadline = time.monotonic() + 5
    while _alive(children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_dashboard_is_served_and_may_write(folder: Path) -> None:
    demo = _demo(folder)
    line = demo.wait_for("dashboard  |", "open http://127.0.0.1:")[0]

    with urllib.request.urlopen(line.split()[-1] + "/api/session") as answer:  # noqa: S310 - our own
        assert json.load(answer)["write"] is True
    demo.stop()


def test_an_occupied_port_does_not_stop_it(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        demo = Process("lab", "demo", environment={"TMPDIR": str(folder), "DASHBOARD_PORT": str(port)})

        demo.wait_for("dashboard  |", f"port {port} is taken")
        line = demo.wait_for("dashboard  |", "open http://127.0.0.1:")[0]
        assert not line.endswith(f":{port}")
        demo.stop()


def test_it_ends_by_itself_when_asked_to(folder: Path) -> None:
    assert _demo(folder, "--seconds", "1").wait() == 0


def test_a_service_that_cannot_start_ends_it(folder: Path) -> None:
    demo = Process("lab", "demo", environment={"TMPDIR": str(folder), "PATTERN": "pigeon"})

    assert demo.wait() != 0
    assert demo.matching("PATTERN cannot be used")


def test_make_help_lists_the_commands() -> None:
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for command in ("make demo", "make test", "make check", "make schema"):
        assert command in text
