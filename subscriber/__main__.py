"""Listens on every pattern that PATTERN names, each in a thread of its own.

Usage: python -m subscriber          listen until SIGTERM or SIGINT
       python -m subscriber health   0 if the service that writes HEALTH_FILE is well
       python -m subscriber dead|scheduled|in-hand --help
                                     what could not be handled, is to be handled later, is being handled
"""

import io
import sys
import threading

from townpost import logs
from townpost.consuming.consumer import Consumer
from townpost.consuming.handlers import load
from townpost.errors import SettingError
from townpost.health import check
from townpost.service import Service
from townpost.settings import Settings

_COMMANDS = ("dead", "scheduled", "in-hand")
_SWITCH_SECONDS = 0.0005
"""With Python's own 5 ms, a thread that computes makes one that waits for Redis ten times slower."""


def main(arguments: list[str]) -> int:
    """Run, and return the exit status: 2 when a setting cannot be used."""
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(f"{__doc__}\n")
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):  # not if it is closed
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        settings = Settings.read()
        logs.set_up(settings)
        if arguments == ["health"]:
            return check(settings.health_file, settings.health_seconds)
        if arguments and arguments[0] in _COMMANDS:
            from subscriber import commands  # noqa: PLC0415 - rarely wanted

            return commands.main(arguments, settings)
        if arguments:
            sys.stderr.write(f"{__doc__}\n")
            return 2
        handler = load(settings)
    except SettingError as error:
        sys.stderr.write(f"subscriber: {error}\n")
        return 2
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = threading.Event()
    loops = [Consumer(pattern.name, settings, handler, stop) for pattern in settings.patterns]
    return Service("subscriber", settings, loops, stop).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
