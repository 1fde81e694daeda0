"""One contestant's process, and how it failed."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.bench import proc
from lab.processes import ROOT, die_with_parent

__all__ = ["Child", "FailedError"]


class FailedError(Exception):
    """A contestant did not do its work; the text is for its row."""


class Child:
    """One contestant's process, in a session of its own, so that whatever it starts can be ended with it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        with log.open("wb") as errors, Path(os.devnull).open("ab") as out:
            self._popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**inherited, "PYTHONDONTWRITEBYTECODE": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it makes one system call
            )
        self.pid = self._popen.pid

    @property
    def status(self) -> int | None:
        return self._popen.poll()

    def cpu_seconds(self) -> float:
        """Of it and all that it started."""
        return proc.cpu_seconds(self.pid)

    def peak_bytes(self) -> int:
        return proc.peak_bytes(self.pid)

    def complaint(self) -> str:
        """The last line it wrote to standard error."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit status.

        Raises:
            FailedError: it still runs.
        """
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise FailedError(f"was not done in {seconds:.0f} s: {self.complaint()}") from None

    def end(self) -> None:
        """At once, with all that it started."""
        session = proc.pids(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        for pid in session:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
