"""Listens on every pattern that PATTERN names, each in a thread of its own.

Usage: python -m subscriber          listen until SIGTERM or SIGINT
       python -m subscriber health   0 if the service that writes HEALTH_FILE is well
       python -m subscriber dead|scheduled|in-flight --help
                                     what could not be handled, is to be handled later, is being handled
"""

import io
import sys
import threading

from townpost import (
    App,
    Consumer,
    Message,
    Route,
    Service,
    SettingError,
    Settings,
    check_health,
    import_handler,
    load_handler,
    logs,
    supervise,
)

_COMMANDS = ("dead", "scheduled", "in-flight", "in-hand")
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
        return _command(arguments, settings) if arguments else _listen(settings)
    except SettingError as error:
        sys.stderr.write(f"subscriber: {error}\n")
        return 2


def _command(arguments: list[str], settings: Settings) -> int:
    if arguments == ["health"]:
        return check_health(settings.health_file, settings.health_seconds)
    if arguments[0] in _COMMANDS:
        from subscriber import commands  # noqa: PLC0415 - rarely wanted

        return commands.main(arguments, settings)
    sys.stderr.write(f"{__doc__}\n")
    return 2


def _listen(settings: Settings) -> int:
    status = supervise(settings)
    if status is not None:
        return status
    if (app := _app(settings)) is not None:
        return app.run()
    handler = load_handler(settings)
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = threading.Event()
    loops = [Consumer(pattern.name, settings, handler, stop) for pattern in settings.patterns]
    return Service("subscriber", settings, loops, stop).run()


def _app(settings: Settings) -> App | None:
    """Of a handler that is async, typed or has several messages at work; None for one that takes one after the other.

    Raises:
        SettingError: HANDLER cannot be imported or served.
    """
    if settings.handler is None:
        return None
    function = import_handler(settings.handler)
    at_once = settings.concurrency not in (None, 1)
    try:
        route = Route.of(function, policy=settings.policy, timeout=settings.handler_timeout)
    except SettingError as error:
        if not at_once:
            return None  # a plain function may call its parameter what it likes
        raise SettingError(f"HANDLER={settings.handler}: {error}") from None
    if not route.is_async and route.kinds == (Message,) and not at_once:
        return None
    app = App(settings=settings)
    for pattern in settings.patterns:
        app.handler(settings.name_of(pattern), pattern=pattern.name)(function)
    return app


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
