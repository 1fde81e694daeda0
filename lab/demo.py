"""What `docker compose up` does, without Docker: a server, the services, their lines side by side."""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial

from dotenv import dotenv_values

from lab.processes import ROOT, Process
from lab.server import Server, binary
from townpost import Settings, endpoint

__all__ = ["options", "run"]

_COLOURS = {"redis": "\x1b[31m", "publisher": "\x1b[35m", "subscriber": "\x1b[36m", "dashboard": "\x1b[32m"}
_DASHBOARD_PORT = 8321
_HEAD_START_SECONDS = 3.0
_KEPT_LINES = 1000
_RESET = "\x1b[0m"
_WIDTH = max(map(len, _COLOURS))


class _Screen:
    """Whole lines from several services, each behind its name."""

    def __init__(self, stop: threading.Event, *, colour: bool) -> None:
        self._stop = stop
        self._colour = colour
        self._lock = threading.Lock()

    def say(self, service: str, line: str) -> None:
        name = f"{service:<{_WIDTH}} |"
        if self._colour:
            name = f"{_COLOURS[service]}{name}{_RESET}"
        with self._lock:
            try:
                print(name, line, flush=True)
            except OSError:  # nobody looks any more
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                self._stop.set()


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, help="end by itself after so long")


def run(given: argparse.Namespace) -> int:
    """Until Ctrl-C or SIGTERM, a service's own end, or so many seconds; the exit status."""
    seconds: float | None = given.seconds
    settings = Settings.read()
    colour = not settings.no_color and (bool(settings.force_color) or sys.stdout.isatty())
    stop = threading.Event()
    screen = _Screen(stop, colour=colour)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    if settings.redis_url is not None:
        screen.say("redis", f"using the one at {endpoint(settings.redis_url)} (REDIS_URL)")
        return _services(settings.redis_url, screen, stop, seconds, colour=colour)
    with Server() as server:
        screen.say(
            "redis", f"{_version()} on 127.0.0.1:{server.port}, its data in a temporary folder. Ctrl-C ends it all."
        )
        return _services(server.url, screen, stop, seconds, colour=colour)


def _version() -> str:
    out = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, check=False).stdout
    words = out.split()
    version = next((word.removeprefix("v=") for word in words if word.startswith("v=")), "")
    return f"{words[0]} {version}" if words else "a server"


def _services(url: str, screen: _Screen, stop: threading.Event, seconds: float | None, *, colour: bool) -> int:
    environment = {**os.environ, "REDIS_URL": url}
    if colour:
        environment["FORCE_COLOR"] = "1"
    services: dict[str, Process] = {}
    ends = time.monotonic() + seconds if seconds is not None else float("inf")
    try:
        for name in ("subscriber", "publisher"):
            services[name] = Process(name, environment=environment, on_line=partial(screen.say, name), keep=_KEPT_LINES)
            with contextlib.suppress(TimeoutError):
                # the crier's first words should not go to an empty square
                services[name].wait_for("connected", timeout=_HEAD_START_SECONDS)
        services["dashboard"] = _dashboard(environment, screen)
        while not stop.wait(0.1) and time.monotonic() < ends:
            for name, process in services.items():
                if process.status is not None:
                    screen.say(name, f"ended with status {process.status}")
                    return process.status or 1
    finally:
        for process in reversed(services.values()):
            if process.status is None:
                process.stop()
            process.wait()
    return 0


def _dashboard(environment: dict[str, str], screen: _Screen) -> Process:
    """The live page, which may also change things: on 127.0.0.1 nobody else reaches it."""

    def setting(name: str, default: str) -> str:
        return os.environ.get(name) or dotenv_values(ROOT / ".env").get(name) or default

    wanted = setting("DASHBOARD_PORT", str(_DASHBOARD_PORT))
    port = wanted if _free(wanted) else "0"
    if port != wanted:
        screen.say("dashboard", f"port {wanted} is taken by another program: taking a free one (DASHBOARD_PORT)")
    return Process(
        "dashboard",
        environment=environment | {"DASHBOARD_PORT": port, "DASHBOARD_WRITE": setting("DASHBOARD_WRITE", "on")},
        on_line=partial(screen.say, "dashboard"),
        keep=_KEPT_LINES,
    )


def _free(port: str) -> bool:
    """Whether nobody serves there; what is no port is the dashboard's to refuse."""
    try:
        with socket.create_server(("127.0.0.1", int(port))):
            return True
    except ValueError:
        return True
    except OSError:
        return False
