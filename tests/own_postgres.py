"""A PostgreSQL of our own on a free port of the loopback, from Debian's package, gone with its test run."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from lab.processes import die_with_parent

__all__ = ["Postgres", "programs"]

_SECONDS = 60


def programs() -> Path | None:
    """The folder with initdb and postgres; None if PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(found) if (folder / "postgres").exists()), None)


class Postgres:
    """Use it in a `with`. It refuses to be run by root, who runs it as `postgres` instead."""

    user = "townpost"

    def __init__(self, folder: Path) -> None:
        self._programs = folder
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
        if os.getuid() != 0:
            self._as = {}
        self.password = secrets.token_hex(8)
        self.port = 0
        self._popen: subprocess.Popen[bytes] | None = None
        self._made = 0

    @property
    def url(self) -> str:
        """Of no database in particular: append a name."""
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="townpost-postgres-"))
        password = self._home / "password"
        password.write_text(self.password)
        if self._as:
            for path in (self._home, password):
                shutil.chown(path, self._as["user"], self._as["group"])
        self._run(
            "initdb",
            *(
                "--auth=scram-sha-256",
                f"--username={self.user}",
                f"--pwfile={password}",
                "--no-sync",
                "--locale=C.UTF-8",
            ),
            *("--encoding=UTF8", "--pgdata", str(self._home / "data")),
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._home)

    def start(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a crash, the same port again
            probe.bind(("127.0.0.1", self.port))
            self.port = probe.getsockname()[1]
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self._home / "log").open("ab") as log:
            self._popen = subprocess.Popen(
                [self._programs / "postgres", "-D", self._home / "data", *words],
                stdout=log,
                stderr=log,
                cwd=self._home,
                preexec_fn=die_with_parent(signal.SIGQUIT),  # noqa: PLW1509 - it makes one system call
                start_new_session=True,
                **self._as,
            )
        self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-t", str(_SECONDS), until=True)

    def stop(self) -> None:
        """At once, as in a crash, so that clients lose their connections."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGQUIT)
            self._popen.wait(_SECONDS)
            self._popen = None

    def make_database(self, options: str = "") -> str:
        """The URL of a new one."""
        self._made += 1
        self.sql(f"CREATE DATABASE of_test_{self._made} {options}")
        return f"{self.url}of_test_{self._made}"

    def drop(self, url: str) -> None:
        self.sql(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def sql(self, statement: str) -> None:
        with psycopg.connect(f"{self.url}postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str, until: bool = False) -> None:
        words: Sequence[str | Path] = [self._programs / program, *arguments]
        while True:
            done = subprocess.run(
                words, check=False, capture_output=True, text=True, cwd=self._home, timeout=_SECONDS, **self._as
            )
            if done.returncode == 0:
                return
            if not until or self._popen is None or self._popen.poll() is not None:
                raise RuntimeError(f"{program}: {done.stderr}{(self._home / 'log').read_text()}")
