"""`townpost dead`: list, show, requeue or delete the messages that no handler could handle."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict

from townpost.cli.listing import moment, print_json, table
from townpost.cli.queues import add_of, connected, settings_of
from townpost.errors import SettingError, TownpostError
from townpost.patterns import PATTERNS
from townpost.patterns.dead_letters import DeadLetter, DeadLetters
from townpost.settings import Settings
from townpost.text import excerpt, printable

__all__ = ["add_arguments", "configure", "manage", "run"]

_REASONS = ("failed", "crashed", "rejected", "unreadable")
_PATTERNS = [name for name, pattern in PATTERNS.items() if pattern.guarantees.redelivers]
_EXCERPT = 60


def add_arguments(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Add the actions with their options; the parser of each."""
    parser.add_argument("--pattern", choices=_PATTERNS, default="reliable")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="a line for each")
    listing.add_argument("--reason", choices=_REASONS)
    listing.add_argument("--json", action="store_true", help="a JSON object a line")
    show = actions.add_parser("show", help="one, with all that is known of it")
    show.add_argument("id")
    parsers = [listing, show]
    for name, text in (("requeue", "put back where they came from"), ("purge", "delete for good")):
        action = actions.add_parser(name, help=text)
        which = action.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="?", help="as `dead list` shows it")
        which.add_argument("--all", action="store_true")
        which.add_argument("--reason", choices=_REASONS)
        action.add_argument("--yes", action="store_true", help="do not ask")
        parsers.append(action)
    return parsers


def configure(parser: argparse.ArgumentParser) -> None:
    actions = add_arguments(parser)
    add_of(parser)
    for action in actions:  # behind the action as well: without a default there, which would win over what is before it
        action.add_argument("--pattern", choices=_PATTERNS, default=argparse.SUPPRESS)
        add_of(action, default=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> int:
    return manage(given, settings_of(given, PATTERNS[given.pattern]))


def manage(given: argparse.Namespace, settings: Settings) -> int:
    """Do one action.

    Raises:
        SettingError: the id is none, or there is no terminal at which to ask.
        TownpostError: there is no dead letter of this id, or Redis refused or did not answer.
    """
    pattern = PATTERNS[given.pattern]
    with connected(settings) as connection:
        dead_letters = DeadLetters(connection, pattern, settings.name_of(pattern))
        if given.action == "list":
            _list(dead_letters.all(given.reason), as_json=given.json)
        elif given.action == "show":
            print_json(_as_json(_one(dead_letters, given.id)), indent=2)
        else:
            return _act(dead_letters, given)
    return 0


def _one(dead_letters: DeadLetters, wanted: str) -> DeadLetter:
    dead_letter = dead_letters.one(_dead_letter_id(wanted))
    if dead_letter is None:
        raise TownpostError(f"there is no dead letter {wanted}")
    return dead_letter


def _dead_letter_id(text: str) -> str:
    match = re.fullmatch(r"([0-9]{1,20})-([0-9]{1,20})", text)
    if match is None or any(int(number) >= 2**64 for number in match.groups()):
        raise SettingError(f"'{printable(text)}' is not the id of a dead letter: `dead list` shows them")
    return text


def _agrees(question: str) -> bool:
    try:
        return input(f"{question}? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()  # the next line is not to stand behind the question
        return False


def _act(dead_letters: DeadLetters, given: argparse.Namespace) -> int:
    chosen = dead_letters.all(given.reason) if given.id is None else [_one(dead_letters, given.id)]
    if not chosen:
        print(f"{given.action}d 0")
        return 0
    what = f"{given.action} {len(chosen):,} dead letter{'s' * (len(chosen) != 1)}"
    if not given.yes:
        if sys.stdin is None or not sys.stdin.isatty():  # None if it is closed
            raise SettingError(f"{what}: say --yes where there is no terminal to ask at")
        if not _agrees(what):
            print("nothing was done")
            return 1
    ids = [dead_letter.id for dead_letter in chosen]
    done = dead_letters.requeue(ids) if given.action == "requeue" else dead_letters.purge(ids)
    print(f"{given.action}d {done:,}")
    return 0


def _as_json(dead_letter: DeadLetter) -> dict[str, object]:
    fields = asdict(dead_letter) | {
        "at": dead_letter.at.isoformat(),
        "payload": dead_letter.payload.decode("utf-8", "backslashreplace"),
    }
    del fields["size"]  # the payload is whole here
    return fields


def _list(dead_letters: Sequence[DeadLetter], *, as_json: bool) -> None:
    if as_json:
        for dead_letter in dead_letters:
            print_json(_as_json(dead_letter))
        return
    rows = [
        (
            dead_letter.id,
            moment(dead_letter.at),
            printable(dead_letter.reason),
            str(dead_letter.attempts),
            str(dead_letter.crashes),
            printable(dead_letter.error),
            excerpt(dead_letter.payload, _EXCERPT),
        )
        for dead_letter in dead_letters
    ]
    table(("id", "died (UTC)", "reason", "attempts", "crashes", "error", "payload"), rows, "no dead letters")
