"""The web server as one of the service's loops."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping

import uvicorn
from starlette.types import ASGIApp

from tasks.settings import TasksSettings
from townpost import Connection, Counts, SettingError

__all__ = ["Serving", "bound"]

_GRACE_SECONDS = 8
_BACKLOG = 2048


def bound(settings: TasksSettings) -> socket.socket:
    """A socket at API_HOST and API_PORT.

    Raises:
        SettingError: another program has the port, or there is no such address here.
    """
    where = f"API_HOST={settings.api_host} and API_PORT={settings.api_port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise SettingError(f"{where}: no such address here ({error})") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        reason = (error.strerror or str(error)).lower()
        raise SettingError(f"{where} cannot be used: {reason}; choose another API_PORT") from None
    return sock


class Serving:
    """Implements `townpost.heartbeat.Loop`."""

    name = "api"
    abandonable = False
    counts: Mapping[str, Counts] = {}

    def __init__(self, app: ASGIApp, sock: socket.socket, stop: threading.Event, served: Callable[[], None]) -> None:
        """``served`` is called when the last request has been answered."""
        self.turned = time.monotonic()
        self._stop = stop
        self._sock = sock
        self._served = served
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = _Server(config, self._turn)

    def run(self) -> None:
        _join_logs()
        host, port = self._sock.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        logging.getLogger("townpost.api").info("listening on %s, described at %s/docs", url, url)
        try:
            self._server.run([self._sock])
        finally:
            self._served()

    def interrupt(self, control: Connection) -> None:
        pass

    def totals(self) -> list[str]:
        return [f"total: {self._server.server_state.total_requests:,} requests"]

    def _turn(self) -> bool:
        self.turned = time.monotonic()
        return self._stop.is_set()


class _Server(uvicorn.Server):
    """Ends with the service."""

    def __init__(self, config: uvicorn.Config, turn: Callable[[], bool]) -> None:
        super().__init__(config)
        self._turn = turn

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        return self._turn() or await super().on_tick(counter)


def _join_logs() -> None:
    """What uvicorn has to say that matters goes where our lines go."""
    theirs = logging.getLogger("uvicorn")
    theirs.handlers[:] = logging.getLogger("townpost").handlers
    theirs.setLevel(logging.WARNING)
    theirs.propagate = False
