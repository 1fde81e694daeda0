"""Serves the pages: uvicorn runs in a thread of its own, so that the service handles signals."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Mapping, Sequence

import uvicorn
from pydantic_core import to_json

from townpost import Connection, Counts, SettingError

from .application import application
from .bursts import Bursts
from .hub import Hub, event
from .poller import Poller
from .schemas.live import Seen, Snapshot
from .settings import DashboardSettings

__all__ = ["Web", "bind"]

_GLANCE_SECONDS = 0.1
_GRACE_SECONDS = 2


def bind(settings: DashboardSettings) -> socket.socket:
    """The socket to be served.

    Raises:
        SettingError: there is no such address here, or another program has the port.
    """
    host, port = settings.dashboard_host, settings.dashboard_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingError(
            f"DASHBOARD_HOST={host} and DASHBOARD_PORT={port} cannot be used: {reason.lower()}; choose another port, "
            "or stop the program that has it"
        ) from None


class Web:
    """Implements `townpost.heartbeat.Loop`."""

    name = "web"
    abandonable = False

    def __init__(self, settings: DashboardSettings, sock: socket.socket, stop: threading.Event) -> None:
        """Nothing is served before `run`."""
        self.turned = time.monotonic()
        self._socket = sock
        self._stop = stop
        self._hub = Hub()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bursts = Bursts(settings, stop)
        self.poller = Poller(settings, stop, self._tell)
        app = application(settings, self.poller, self._hub, self._bursts)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._where = f"http://{_address(sock, settings)}"
        self._log = logging.getLogger("townpost.dashboard")

    @property
    def counts(self) -> Mapping[str, Counts]:
        return self._bursts.counts

    def run(self) -> None:
        asyncio.run(self._serve())

    def interrupt(self, control: Connection) -> None:
        pass

    def totals(self) -> list[str]:
        return []

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        watch = asyncio.create_task(self._watch())
        self._log.info("open %s", self._where)
        await self._server.serve(sockets=[self._socket])
        await watch

    async def _watch(self) -> None:
        """Note that the event loop turns, until the stop."""
        while not self._stop.is_set():
            self.turned = time.monotonic()
            await asyncio.sleep(_GLANCE_SECONDS)
        self._hub.close()
        self._server.should_exit = True

    def _tell(self, snapshot: Snapshot, lines: Sequence[Seen]) -> int:
        """From the poller's thread."""
        if self._loop is not None and self._hub.pages:
            newest = event("snapshot", snapshot.model_dump_json(ensure_ascii=True).encode())
            seen = event("seen", to_json(lines, ensure_ascii=True)) if lines else None
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._hub.send, newest, seen)
        return self._hub.pages


def _address(sock: socket.socket, settings: DashboardSettings) -> str:
    port = sock.getsockname()[1]
    host = settings.dashboard_host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
