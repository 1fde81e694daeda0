"""`townpost run --processes N`: children that are started anew when they die, and stopped when the parent is."""

import os
import signal
import time
from pathlib import Path

from user_apps import Folder, pids
from workers import until

from lab.processes import Process
from townpost.health import diagnose

FAILING = """
class App:
    def run(self):
        print("failing", flush=True)
        return 3

app = App()
"""
STUBBORN = """
import os, signal, time

class App:
    def run(self):
        signal.signal(signal.SIGTERM, lambda number, frame: os.write(1, b"asked\\n"))
        os.write(1, f"running {os.getpid()}\\n".encode())
        for _ in range(1_000):
            time.sleep(0.02)

app = App()
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def started(folder: Folder, count: int, name: str = "worker:app", **environment: str) -> Process:
    service = folder.run(name, "--processes", str(count), **environment)
    service.wait_for("running", count=count)
    return service


def test_so_many_processes_run_and_stop(folder: Folder) -> None:
    service = started(folder, 3)

    status = service.stop()

    assert status == 0
    children = pids(service, "running")
    assert len(set(children) - {service.pid}) == 3
    assert sorted(pids(service, "stopped")) == sorted(children)
    assert not any(map(alive, children))


def test_an_interrupt_is_passed_on(folder: Folder) -> None:
    service = started(folder, 2)

    service.signal(signal.SIGINT)

    assert service.wait() == 0
    assert len(pids(service, "stopped")) == 2
    assert not service.matching("Traceback")


def test_one_that_is_killed_is_started_again(folder: Folder) -> None:
    # Given two processes
    service = started(folder, 2)
    first = pids(service, "running")[0]

    # When one is killed
    os.kill(first, signal.SIGKILL)

    # Then another takes its place, and a stop is a good one
    service.wait_for("running", count=3)
    assert service.wait_for("was killed by SIGKILL; it is started again in 0.2 s")
    assert service.stop() == 0


def test_one_that_always_fails_is_started_with_growing_pauses(folder: Folder) -> None:
    # Given an app that ends at once
    folder.write("failing.py", FAILING)
    service = folder.run("failing:app", "--processes", "2")

    # When it has been started three times
    service.wait_for("ended with status 3", "process 1 ", "0.8 s")

    # Then the pauses have doubled, and it had failed when it is stopped
    pauses = [line.rsplit(" in ", 1)[1] for line in service.matching("ended with status 3", "process 1 ")]
    assert pauses[:3] == ["0.2 s", "0.4 s", "0.8 s"]
    assert service.stop() == 1


def test_one_that_cannot_be_imported_does_not_spin(folder: Folder) -> None:
    folder.write("broken.py", "1 / 0")
    service = folder.run("broken:app", "--processes", "2")

    service.wait_for("process 2 ", "0.4 s")

    assert len(service.matching("ZeroDivisionError: division by zero (broken.py:1)")) <= 6
    assert service.stop() == 1


def test_a_second_signal_kills(folder: Folder) -> None:
    # Given children that do not stop
    folder.write("stubborn.py", STUBBORN)
    service = started(folder, 2, "stubborn:app")
    service.signal(signal.SIGTERM)
    service.wait_for("asked", count=2)
    assert service.status is None

    # When there is a second signal
    service.signal(signal.SIGINT)

    # Then they are killed, which is no good stop
    assert service.wait() == 1
    assert not any(map(alive, pids(service, "running")))
    assert len(service.matching("did not stop and is killed")) == 2


def test_children_stop_when_their_parent_is_killed(folder: Folder) -> None:
    service = started(folder, 2)

    os.kill(service.pid, signal.SIGKILL)

    until(lambda: not any(map(alive, pids(service, "running"))))


def test_a_setting_that_cannot_be_used_starts_nothing(folder: Folder) -> None:
    service = folder.run("worker:app", "--processes", "2", CONNECT_TIMEOUT="soon")

    assert service.wait() == 2
    assert len(service.lines) == 1


def test_one_health_file_speaks_for_all(folder: Folder, tmp_path: Path) -> None:
    # Given an app whose processes report their health, and one of them stalls
    healthy = """
import os, time
from pathlib import Path
from townpost.health import write

class App:
    def run(self):
        path = Path(os.environ["HEALTH_FILE"])
        begun = time.monotonic()
        os.write(1, f"running {os.getpid()}\\n".encode())
        while True:
            now = time.monotonic()
            write(path, {"queue": begun if path.name.endswith("2") else now}, now)
            time.sleep(0.05)

app = App()
"""
    folder.write("healthy.py", healthy)
    file = tmp_path / "health"
    service = started(folder, 2, "healthy:app", HEALTH_FILE=str(file))

    # Then the one file names it
    deadline = time.monotonic() + 15
    while "the queue of process 2 loop has stalled" not in (problem := diagnose(file, 1.0) or ""):
        assert time.monotonic() < deadline, problem
        time.sleep(0.05)
    assert diagnose(file, 60.0) is None
    assert service.stop() == 0
    assert [path.name for path in tmp_path.glob("health*")] == ["health"]
