"""`townpost run module:app`: runs the handlers of an app, in one process or several."""

import argparse
import os
import signal
import sys
from pathlib import Path

from townpost import logs
from townpost.cli.loading import LoadError, load, split
from townpost.consuming.joint_health import JointHealth
from townpost.consuming.processes import CHANGED, Processes, adopt
from townpost.consuming.reload import Watch
from townpost.errors import SettingError
from townpost.settings import Settings
from townpost.text import printable

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run the handlers of an app until SIGTERM or SIGINT; a second one ends it at once."
    parser.add_argument("app", metavar="module:app", help="where the App is; the current directory is looked at first")
    parser.add_argument(
        "--concurrency", type=_positive, metavar="N", help="messages at work at once, for each handler (CONCURRENCY)"
    )
    parser.add_argument(
        "--processes",
        type=_positive,
        metavar="N",
        help="processes that share the work (PROCESSES); one that dies is started again",
    )
    parser.add_argument("--reload", action="store_true", help="start anew when the code changes, while developing")


def _positive(word: str) -> int:
    if not (word.isascii() and word.isdecimal()) or int(word) < 1:
        raise argparse.ArgumentTypeError(f"'{word}' is not a whole number from 1")
    return int(word)


def run(given: argparse.Namespace) -> int:
    split(given.app)
    for setting in ("concurrency", "processes"):
        if getattr(given, setting) is not None:
            os.environ[setting.upper()] = str(getattr(given, setting))
    if adopt():
        return _reloaded(given.app) if given.reload else load(given.app).run()
    settings = Settings.read()
    count: int = given.processes or settings.processes
    if count == 1 and not given.reload:
        return load(given.app).run()
    logs.set_up(settings)
    health = JointHealth(settings.health_file, count) if settings.health_file is not None and count > 1 else None
    return Processes([sys.executable, *sys.orig_argv[1:]], count, health).run()


def _reloaded(name: str) -> int:
    """As a child: end with the status that starts a new one when the code has changed."""
    watch = Watch(Path.cwd())
    # Python compares size and time (in seconds) of source and bytecode, and would miss the second of two quick edits
    sys.dont_write_bytecode = True

    def on_signal(_number: int, _frame: object) -> None:
        sys.exit(CHANGED if watch.changed else 0)

    signal.signal(signal.SIGTERM, on_signal)  # until the app handles it
    try:
        app = load(name)
        watch.look()
        watch.start()
        status = app.run()
        reason = f"the app ended with status {status}"
    except SettingError as error:
        watch.look(error.files if isinstance(error, LoadError) else ())
        watch.start()
        status, reason = 2, printable(str(error))
    if not watch.changed and status:
        sys.stderr.write(f"townpost: {reason}; a change of the code starts it again\n")
        signal.signal(signal.SIGTERM, on_signal)
        while True:
            signal.pause()
    return CHANGED if watch.changed else status
