"""Several processes that run the same command, under a parent that starts, watches and stops them.

A child is a new Python that runs the parent's command line, with `TOWNPOST_PARENT` in its environment: nothing of the
parent's state is shared, so that no lock and no connection is inherited half-used.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from townpost.consuming.joint_health import JointHealth
from townpost.settings import Settings

__all__ = ["CHANGED", "Processes", "adopt", "supervise"]

CHANGED = 85
"""The exit status of a child that wants to be started anew, at once: its code has changed (see `reload`)."""
_PARENT = "TOWNPOST_PARENT"
_BACKOFF_SECONDS, _BACKOFF_CAP_SECONDS = 0.2, 10.0
_STEADY_SECONDS = 10.0
"""A child that lived so long was well: the back-off after it begins anew."""
_GLANCE_SECONDS = 0.05
_PARENT_GLANCE_SECONDS = 1.0
_LOG = logging.getLogger("townpost.processes")


def adopt() -> bool:
    """Whether this process is a child. If so, it is stopped by SIGTERM when its parent is gone, however that went."""
    parent = os.environ.pop(_PARENT, "")  # it is no parent of what this process starts
    if not parent.isdecimal():
        return False

    def follow() -> None:
        while os.getppid() == int(parent):
            time.sleep(_PARENT_GLANCE_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="follow-parent", daemon=True).start()
    return True


def supervise(settings: Settings) -> int | None:
    """Run this very command in PROCESSES processes, as their parent.

    Returns the exit status; None where one process is enough, or this is one of several: then the caller does the work.
    """
    if settings.processes == 1 or adopt():
        return None
    health = None if settings.health_file is None else JointHealth(settings.health_file, settings.processes)
    return Processes([sys.executable, *sys.orig_argv[1:]], settings.processes, health).run()


class Processes:
    """The parent: `run` it in the main thread."""

    def __init__(self, command: Sequence[str], count: int, health: JointHealth | None = None) -> None:
        """Nothing is started.

        Args:
            command: of each child.
            count: how many children.
            health: what they say of theirs together; None leaves HEALTH_FILE to the one child.
        """
        environments = {number: health.environment(number) if health else {} for number in range(1, count + 1)}
        self._children = [_Child(number, command, environment) for number, environment in environments.items()]
        self._health = health
        self._signals = 0

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status: 1 if a child had failed then, or fails to stop well.

        A second signal kills the children.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while not self._signals:
            for child in self._children:
                child.attend()
            self._glance()
        for child in self._children:
            child.terminate()
        killed = False
        while any(child.runs for child in self._children):
            if self._signals > 1 and not killed:
                killed = True
                for child in self._children:
                    child.kill()
            self._glance()
        if self._health is not None:
            self._health.close()
        return 1 if any(child.failed for child in self._children) else 0

    def _glance(self) -> None:
        if self._health is not None:
            self._health.write()
        time.sleep(_GLANCE_SECONDS)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1


class _Child:
    def __init__(self, number: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._name = f"process {number}"
        self._command = command
        self._environment = environment
        self._popen: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._backoff = _BACKOFF_SECONDS
        self._terminated = False
        self._status: int | None = None

    @property
    def runs(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def failed(self) -> bool:
        """It ended without a stop from its parent."""
        status = self._status if self._popen is None else self._popen.poll()
        return status is not None and status not in (0, -signal.SIGTERM if self._terminated else 0)

    def attend(self) -> None:
        """Start it if it does not run and its pause is over."""
        if self._popen is not None and self._popen.poll() is not None:
            self._has_ended(self._popen)
        if self._popen is None and time.monotonic() >= self._start_at:
            self._start()

    def terminate(self) -> None:
        if self.runs and self._popen is not None:
            self._terminated = True
            self._popen.terminate()

    def kill(self) -> None:
        if self.runs and self._popen is not None:
            _LOG.warning("%s (pid %d) did not stop and is killed", self._name, self._popen.pid)
            self._popen.kill()

    def _start(self) -> None:
        self._started_at = time.monotonic()
        self._popen = subprocess.Popen(  # noqa: S603 - our own command line
            self._command,
            env={**os.environ, **self._environment, _PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            process_group=0,  # a Ctrl-C at the terminal is the parent's to pass on, once
        )

    def _has_ended(self, popen: subprocess.Popen[bytes]) -> None:
        status = popen.returncode
        self._popen = None
        self._status = status
        now = time.monotonic()
        if status == CHANGED:
            self._status = 0
            self._start_at = now
            _LOG.info("%s is started again: its code has changed", self._name)
            return
        if now - self._started_at >= _STEADY_SECONDS:
            self._backoff = _BACKOFF_SECONDS
        self._start_at = now + self._backoff
        _LOG.warning(
            "%s (pid %d) %s; it is started again in %.1f s", self._name, popen.pid, _how(status), self._backoff
        )
        self._backoff = min(2 * self._backoff, _BACKOFF_CAP_SECONDS)


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
