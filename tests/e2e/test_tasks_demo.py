"""`make demo-tasks`: the story is told to its end, and leaves nothing behind."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.processes import Process


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Process]:
    process = Process("lab", "tasks", "--pace", "0", environment={"TMPDIR": str(tmp_path)})
    yield process
    if process.status is None:
        process.kill()
    process.wait()


def _descendants(pid: int) -> set[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return {int(word) for word in done.stdout.split()}


@pytest.mark.slow
def test_it_tells_how_pubsub_heals_and_how_reliable_waits(demo: Process, tmp_path: Path) -> None:
    assert demo.wait(100) == 0

    lines = demo.lines
    order = [
        "sent event #1 to channel 'tasks.event.created': 1 receiver",
        "saved 1: change 1",
        "found 1: Write to the town council",
        "nobody is listening, it is gone",
        "found 0",
        "healed 2 (at the start)",
        "found 1: Thank the mayor",
        "to list 'tasks_reliable_queue': length 2",
        "saved 1: change 7",
        "found 1: Ring the bell twice",
        "Everything is stopped and removed",
    ]
    at = 0
    for words in order:
        at = next((n for n, line in enumerate(lines[at:], at) if words in line), -1)
        assert at >= 0, f"{words!r} is missing in:\n" + "\n".join(lines)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_it_in_order(demo: Process, tmp_path: Path) -> None:
    demo.wait_for("saved 1: change 1", timeout=60)
    children = _descendants(demo.pid)

    demo.signal(signal.SIGINT)

    assert demo.wait(30) == 0
    assert len(children) == 3
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert not list(tmp_path.iterdir())
    assert not demo.matching("Traceback")
