"""The arguments of publishing, as words that are checked one by one."""

import argparse
import contextlib
from datetime import UTC, datetime

__all__ = ["add_arguments"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both `townpost publish` and `python -m publisher` take."""
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
    parser.set_defaults(to=None, type=None, key=None)


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
