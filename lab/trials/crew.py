"""The processes of one trial, started again when they die, as a service manager would."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable

from lab.processes import Process

__all__ = ["Crew", "Member"]

_GLANCE_SECONDS = 0.05
_RESTART_SECONDS = 0.5
_STOP_SECONDS = 10.0


class Member:
    """One place in the crew, whichever process holds it."""

    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        self.name = name
        self._start = start
        self.process = start()
        self.deaths = 0
        self.lines: list[str] = []
        """Of the processes that held it before."""
        self._died_at: float | None = None
        self.expected_to_end = False

    def supervise(self, now: float) -> None:
        """Start it again a moment after it died."""
        if self.process.status is None or self.expected_to_end:
            return
        if self._died_at is None:
            self._died_at = now
            self.deaths += 1
        elif now - self._died_at >= _RESTART_SECONDS:
            self.restart()

    def restart(self) -> None:
        """A new process in the place of one that has ended."""
        self.lines += self.process.lines
        self._died_at = None
        self.process = self._start()


class Crew:
    """Members, and one thread that looks after them until `close`."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._closed = threading.Event()
        self._gone = threading.Event()
        self._lock = threading.Lock()
        # children die with the thread that started them, so this one outlives them
        self._thread = threading.Thread(target=self._run, name="crew", daemon=True)
        self._thread.start()

    def add(self, name: str, start: Callable[[], Process]) -> Member:
        with self._lock:
            member = Member(name, start)
            self.members.append(member)
        return member

    def roll(self, member: Member) -> int:
        """SIGTERM, wait, and start a new one: a deployment. The exit status of the old one."""
        with self._lock:  # nobody else starts it meanwhile
            status = member.process.stop()
            member.restart()
        return status

    def close(self) -> list[int]:
        """SIGTERM to all, SIGKILL to whoever does not listen; the exit statuses of those that still ran."""
        self._closed.set()
        with self._lock:
            running = [member.process for member in self.members if member.process.status is None]
        for process in running:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        statuses = [_end(process) for process in running]
        self._gone.set()
        self._thread.join()
        return statuses

    def _run(self) -> None:
        while not self._closed.wait(_GLANCE_SECONDS):
            with self._lock:
                if self._closed.is_set():
                    break
                for member in self.members:
                    member.supervise(time.monotonic())
        self._gone.wait()


def _end(process: Process) -> int:
    try:
        return process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return process.kill()
