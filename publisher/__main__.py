"""Sends messages on every pattern that PATTERN names."""

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime

from townpost import logs
from townpost.cli.publish.progress import Progress
from townpost.cli.publish.receipts import Receipts
from townpost.cli.publish.sending import BATCH, Sending
from townpost.cli.publish.sources import Lines, Numbering, first, texts
from townpost.errors import SettingError
from townpost.health import check
from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.service import Service
from townpost.settings import Settings

_GREETING = "Hello from Python #N"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m publisher",
        description="Sends messages on every pattern that PATTERN names. Without arguments: a greeting every "
        "PUBLISH_INTERVAL seconds, until SIGTERM or SIGINT. `python -m publisher health`: 0 if the service that "
        "writes HEALTH_FILE is well.",
        epilog="Settings come from the environment and .env; .env.example explains each of them.",
    )
    parser.add_argument("text", nargs="?", help="send this text, once unless --count says more; #N becomes the number")
    parser.add_argument("--file", metavar="PATH", help="send the JSON lines of a file, or of standard input for -")
    parser.add_argument("--count", type=_positive, metavar="N", help="how many messages to send")
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        help="between two messages; 0: as fast as possible (default with TEXT or --file)",
    )
    parser.add_argument("--pattern", help="instead of PATTERN")
    parser.add_argument("--receipts", metavar="PATH", help="append to this file the id of each acknowledged message")
    parser.add_argument(
        "--priority", type=int, choices=range(10), metavar="0-9", help="9 is the most urgent (reliable)"
    )
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--delay", type=_seconds, metavar="SECONDS", help="hand it out so much later (reliable)")
    when.add_argument(
        "--at", type=_moment, metavar="TIME", help="hand it out then, e.g. 2026-01-31T08:00:00Z (reliable)"
    )
    return parser


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"'{word}' is not a whole number from 1")
    return int(word)


def _seconds(word: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(word)) < float("inf"):
            return seconds
    raise argparse.ArgumentTypeError(f"'{word}' is not a number of seconds")


def _moment(word: str) -> datetime:
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a time such as 2026-01-31T08:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def main(arguments: list[str]) -> int:
    """Run, and return the exit status: 1 when Redis or a line of the file refused, 2 when a setting cannot be used.

    A stop by a signal is no failure: 0, with the number of those that were sent.
    """
    try:
        if arguments == ["health"]:
            settings = Settings.read()
            return check(settings.health_file, settings.health_seconds)
        parser = _parser()
        given = parser.parse_args(arguments)
        if given.text is not None and given.file is not None:
            parser.error("give a text or --file, not both")
        return _run(given)
    except SettingError as error:
        sys.stderr.write(f"publisher: {error}\n")
        return 2


def _run(given: argparse.Namespace) -> int:
    at_once = given.interval is None and (given.text is not None or given.file is not None)
    settings = Settings.read(pattern=given.pattern, publish_interval=0 if at_once else given.interval)
    logs.set_up(settings)
    stop = threading.Event()
    numbering = Numbering(settings.sender, given.priority)
    count = given.count or (1 if given.text is not None else None)
    size = BATCH if settings.publish_interval == 0 else 1
    lines: Lines | None = None
    source: Iterable[list[Message]]
    if given.file is not None:
        lines = Lines(given.file, numbering, stop, settings.max_message_bytes)
        source = lines if count is None else first(lines, count)
    else:
        source = texts(numbering, given.text or _GREETING, count, size)
    line_each = settings.publish_interval > 0 or count == 1
    progress = None if line_each else Progress(count)
    due = None if given.delay is None and given.at is None else Due(given.delay, given.at)
    if due is not None and not all(pattern.guarantees.schedules for pattern in settings.patterns):
        raise SettingError(f"PATTERN={settings.pattern} cannot delay a message: use --pattern reliable")
    receipts = Receipts(given.receipts) if given.receipts is not None else None
    endless = count is None and given.file is None
    sending = Sending(source, settings, stop, progress, due=due, endless=endless, receipts=receipts)
    if lines is not None:
        lines.tick = sending.tick
    status = Service("publisher", settings, [sending], stop).run()
    return 1 if lines is not None and lines.unreadable else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
