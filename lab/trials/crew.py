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
_STOP_SECONDS = 20.0  # several trials share the machine


class Member:
    """One place in the crew, whichever process holds it."""

    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        self.name = name
        self._start = start
        self.process = start()
        self.ends: list[int] = []
        """Exit statuses of the processes that held it, the living one excepted."""
        self.lines: list[str] = []
        """Of the processes that held it before."""
        self._died_at: float | None = None
        self.expected_to_end = False

    @property
    def statuses(self) -> list[int]:
        """Exit statuses of all that have ended."""
        status = self.process.status
        return self.ends if status is None else [*self.ends, status]

    def supervise(self, now: float) -> None:
        """Start it again a moment after it died."""
        if self.process.status is None or self.expected_to_end:
            return
        if self._died_at is None:
            self._died_at = now
        elif now - self._died_at >= _RESTART_SECONDS:
            self.restart()

    def restart(self) -> None:
        """A new process in the place of one that has ended."""
        self.lines += self.process.lines
        self.ends.append(self.process.wait())
        self._died_at = None
        self.process = self._start()


class Crew:
    """Members, and one thread that looks after them until `close`."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.trouble: Exception | None = None
        """Why nobody is started again any more, if that is so."""
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

    def roll(self, member: Member) -> None:
        """SIGTERM, wait, and start a new one: a deployment."""
        with self._lock:  # nobody else starts it meanwhile
            member.process.stop()
            member.restart()

    def close(self) -> None:
        """SIGTERM to all, SIGKILL to whoever does not listen."""
        self._closed.set()
        with self._lock:
            running = [member.process for member in self.members if member.process.status is None]
        for process in running:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            _end(process, max(deadline - time.monotonic(), 0.1))
        self._gone.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(_GLANCE_SECONDS) and self.trouble is None:
            with self._lock:
                if self._closed.is_set():
                    break
                try:
                    for member in self.members:
                        member.supervise(time.monotonic())
                except Exception as error:  # noqa: BLE001 - told where somebody waits; children die with this thread
                    self.trouble = error
        self._gone.wait()


def _end(process: Process, seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
