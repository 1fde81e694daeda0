"""Dead letters from the command line, and a look at what is scheduled and in hand.

Usage: python -m subscriber dead list|show|requeue|purge, scheduled, in-hand; --help for each.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from townpost import keys
from townpost.errors import SettingError, TownpostError
from townpost.patterns import PATTERNS
from townpost.patterns.letters import DeadLetters, Letter, in_hand, scheduled
from townpost.redis.connection import Connection
from townpost.settings import Settings
from townpost.text import excerpt, printable

__all__ = ["main"]

_SHOWN = 1_000
_EXCERPT = 60
_WHOLE_COLUMNS = 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m subscriber")
    parts = parser.add_subparsers(dest="part", required=True)
    redelivering = [name for name, pattern in PATTERNS.items() if pattern.guarantees.redelivers]
    dead = parts.add_parser("dead", help="messages that nobody could handle")
    dead.add_argument("--pattern", choices=redelivering, default="reliable")
    actions = dead.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="a line for each")
    listing.add_argument("--reason", choices=("failed", "crashed", "unreadable"))
    listing.add_argument("--json", action="store_true", help="a JSON object a line")
    show = actions.add_parser("show", help="one, with all that is known of it")
    show.add_argument("id")
    for name, text in (("requeue", "put back where they came from"), ("purge", "delete for good")):
        action = actions.add_parser(name, help=text)
        which = action.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="?", help="as `dead list` shows it")
        which.add_argument("--all", action="store_true")
        which.add_argument("--reason", choices=("failed", "crashed", "unreadable"))
        action.add_argument("--yes", action="store_true", help="do not ask")
    for name, text in (("scheduled", "delayed messages and retries"), ("in-hand", "claims and their leases")):
        part = parts.add_parser(name, help=f"{text} of the reliable queue")
        part.add_argument("--json", action="store_true", help="a JSON object a line")
    return parser


def main(arguments: Sequence[str], settings: Settings) -> int:
    """Run one command; the exit status: 1 when there was nothing of that name, or Redis did not answer."""
    given = _parser().parse_args(arguments)
    try:
        status = _run(given, settings)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough, as `head` does; at exit Python would try once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _run(given: argparse.Namespace, settings: Settings) -> int:
    connection = Connection(settings.url, name="townpost-letters")
    try:
        connection.connect()
        if given.part == "scheduled":
            return _scheduled(connection, settings, as_json=given.json)
        if given.part == "in-hand":
            return _in_hand(connection, settings, as_json=given.json)
        pattern = PATTERNS[given.pattern]
        letters = DeadLetters(connection, pattern, settings.name_of(pattern))
        if given.action == "list":
            return _list(letters.all(given.reason), as_json=given.json)
        if given.action == "show":
            return _show(letters.one(_letter_id(given.id)), given.id)
        return _act(letters, given)
    except SettingError:
        raise
    except TownpostError as error:
        sys.stderr.write(f"subscriber: {printable(str(error))}\n")
        return 1
    finally:
        connection.close()


def _letter_id(text: str) -> str:
    match = re.fullmatch(r"([0-9]{1,20})-([0-9]{1,20})", text)
    if match is None or any(int(number) >= 2**64 for number in match.groups()):
        raise SettingError(f"'{printable(text)}' is not the id of a dead letter: `dead list` shows them")
    return text


def _agrees(question: str) -> bool:
    try:
        return input(f"{question}? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()  # noqa: T201 - the next line is not to stand behind the question
        return False


def _act(letters: DeadLetters, given: argparse.Namespace) -> int:
    if given.id is not None:
        letter = letters.one(_letter_id(given.id))
        chosen = [] if letter is None else [letter]
    else:
        chosen = letters.all(given.reason)
    if not chosen:
        if given.id is None:  # then all there are is none
            print(f"{given.action}d 0")  # noqa: T201
            return 0
        sys.stderr.write(f"subscriber: there is no dead letter {printable(given.id)}\n")
        return 1
    what = f"{given.action} {len(chosen):,} dead letter{'s' * (len(chosen) != 1)}"
    if not given.yes:
        if not sys.stdin.isatty():
            raise SettingError(f"{what}: say --yes where nobody can be asked")
        if not _agrees(what):
            print("nothing was done")  # noqa: T201 - a person asked
            return 1
    ids = [letter.id for letter in chosen]
    done = letters.requeue(ids) if given.action == "requeue" else letters.purge(ids)
    print(f"{given.action}d {done:,}")  # noqa: T201
    return 0


def _as_json(letter: Letter) -> dict[str, object]:
    return asdict(letter) | {
        "at": letter.at.isoformat(),
        "payload": letter.payload.decode("utf-8", "backslashreplace"),
    }


def _list(letters: Sequence[Letter], *, as_json: bool) -> int:
    if as_json:
        for letter in letters:
            _print_json(_as_json(letter))
        return 0
    rows = [
        (
            letter.id,
            letter.at.isoformat(" ", "seconds")[:19],
            printable(letter.reason),
            str(letter.attempts),
            str(letter.crashes),
            printable(letter.error),
            excerpt(letter.payload, _EXCERPT),
        )
        for letter in letters
    ]
    _table(("id", "died (UTC)", "reason", "attempts", "crashes", "error", "payload"), rows, "no dead letters")
    return 0


def _show(letter: Letter | None, wanted: str) -> int:
    if letter is None:
        sys.stderr.write(f"subscriber: there is no dead letter {printable(wanted)}\n")
        return 1
    _print_json(_as_json(letter), indent=2)
    return 0


def _scheduled(connection: Connection, settings: Settings, *, as_json: bool) -> int:
    found = scheduled(connection, settings.reliable_queue, _SHOWN)
    _tell_skipped(found.skipped, keys.scheduled(settings.reliable_queue), "messages")
    if as_json:
        for due, payload in found.rows:
            _print_json({"due": due.isoformat(), "payload": payload.decode("utf-8", "backslashreplace")})
        return 0
    rows = [(due.isoformat(" ", "seconds")[:19], excerpt(payload)) for due, payload in found.rows]
    _table(("due (UTC)", "payload"), rows, "nothing is scheduled")
    return 0


def _in_hand(connection: Connection, settings: Settings, *, as_json: bool) -> int:
    found = in_hand(connection, settings.reliable_queue, _SHOWN)
    _tell_skipped(found.skipped, keys.leases(settings.reliable_queue), "claims")
    if as_json:
        for until, claim, count in found.rows:
            _print_json({"until": until.isoformat(), "claim": claim, "messages": count})
        return 0
    rows = [(printable(claim), str(count), until.isoformat(" ", "seconds")[:19]) for until, claim, count in found.rows]
    _table(("claim", "messages", "leased until (UTC)"), rows, "nothing is in hand")
    return 0


def _tell_skipped(count: int, key: str, what: str) -> None:
    if count:
        members = f"{count:,} member{'s' * (count != 1)} of {printable(key)}"
        sys.stderr.write(f"subscriber: skipped {members}: not {what} of this queue\n")


def _print_json(value: Mapping[str, object], indent: int | None = None) -> None:
    # ASCII, and of its control characters JSON leaves one as it is
    print(json.dumps(value, indent=indent).replace("\x7f", "\\u007f"))  # noqa: T201


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    console = Console()
    if not rows:
        console.print(nothing)
        return
    table = Table()
    widest = max(len(row[0]) for row in rows)
    for number, title in enumerate(titles):
        # the first column is what one copies into the next command
        table.add_column(title, no_wrap=number < _WHOLE_COLUMNS, min_width=None if number else widest)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as text: a message must not be markup
    console.print(table)
