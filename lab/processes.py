"""The services as child processes that cannot outlive us, and whose lines can be watched."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

__all__ = ["ROOT", "Process", "die_with_parent"]

ROOT = Path(__file__).resolve().parent.parent
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int) -> Callable[[], None] | None:
    """For `preexec_fn`: have the kernel send this signal when the parent is gone, however it went (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return ask


class Process:
    """``python -m MODULE`` with a thread for each of its outputs."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        on_line: Callable[[str], None] | None = None,
        keep: int | None = None,
        fed: bool = False,
        folder: Path = ROOT,
    ) -> None:
        """Start it.

        Args:
            module: e.g. ``publisher``.
            arguments: of its command line.
            environment: its whole environment, but for PATH and what Python itself needs.
            on_line: called with each line of either output as it comes; None only keeps them.
            keep: how many lines; None for all.
            fed: its standard input is a pipe, for `feed`.
            folder: where it runs.
        """
        kept = ("PATH", "HOME", "LANG", "REDIS_SERVER", "TMPDIR", "TZ", "VIRTUAL_ENV", "COVERAGE_PROCESS_CONFIG")
        inherited = {name: value for name, value in os.environ.items() if name in kept}
        self._lines: deque[str] = deque(maxlen=keep)
        self._changed = threading.Condition()
        self._on_line = on_line
        self._popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env={**inherited, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C at the terminal is the parent's to pass on
            preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it makes one system call
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self._popen.stdout, self._popen.stderr)
        ]
        for reader in self._readers:
            reader.start()
        if self._popen.stdin is not None:
            os.set_blocking(self._popen.stdin.fileno(), False)

    def feed(self, data: bytes) -> int:
        """How many of these bytes its standard input took without waiting; 0 also when it has ended."""
        assert self._popen.stdin is not None  # noqa: S101 - it was asked for
        try:
            return os.write(self._popen.stdin.fileno(), data)
        except (BlockingIOError, BrokenPipeError):
            return 0

    def end_input(self) -> None:
        assert self._popen.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()

    @property
    def lines(self) -> list[str]:
        """Of both outputs, in the order they came."""
        with self._changed:
            return list(self._lines)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._popen.poll()

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout: float = 15.0) -> int:
        """The exit status, with all its lines read.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        status = self._popen.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        if self._popen.stdin is not None:
            self.end_input()
        return status

    def stop(self, timeout: float = 15.0) -> int:
        """SIGTERM, then `wait`; SIGKILL if that takes too long."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        self._popen.kill()
        return self.wait()

    def wait_for(self, *words: str, timeout: float = 15.0, count: int = 1) -> list[str]:
        """The lines that contain every one of the words, once there are ``count`` of them.

        Raises:
            TimeoutError: they did not come; with all lines so far.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [line for line in self._lines if all(word in line for word in words)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no line with {words} {count} times in:\n" + "\n".join(self._lines))
                self._changed.wait(left)

    def matching(self, *words: str) -> Sequence[str]:
        """The lines so far that contain every one of the words."""
        with self._changed:
            return [line for line in self._lines if all(word in line for word in words)]

    def _read(self, stream: IO[str] | None) -> None:
        assert stream is not None  # noqa: S101 - both are pipes
        for line in stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
            if self._on_line is not None:
                self._on_line(line.rstrip("\n"))
        stream.close()
