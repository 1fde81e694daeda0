"""Serves the live page of what flows through Redis.

Usage: python -m dashboard          serve until SIGTERM or SIGINT
       python -m dashboard health   0 if the service that writes HEALTH_FILE is well
"""

import logging
import sys
import threading

from townpost import Service, SettingError, check_health, logs

from .settings import DashboardSettings


def main(arguments: list[str]) -> int:
    """Run, and return the exit status: 2 when a setting cannot be used."""
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        settings = DashboardSettings.read()
        logs.set_up(settings)
        if arguments == ["health"]:
            return check_health(settings.health_file, settings.health_seconds)
        if arguments:
            sys.stderr.write(f"{__doc__}\n")
            return 2
        from .web import Web, bind  # noqa: PLC0415 - slow to import, and a health check is to be quick

        with bind(settings) as sock:
            stop = threading.Event()
            web = Web(settings, sock, stop)
            _quieten_uvicorn()
            return Service("dashboard", settings, [web, web.poller], stop).run()
    except SettingError as error:
        sys.stderr.write(f"dashboard: {error}\n")
        return 2


def _quieten_uvicorn() -> None:
    """Log its warnings and errors in our form, and nothing below."""
    log = logging.getLogger("uvicorn")
    log.handlers[:] = logging.getLogger("townpost").handlers
    log.setLevel(logging.WARNING)
    log.propagate = False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
