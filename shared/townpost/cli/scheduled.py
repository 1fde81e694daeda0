"""`townpost scheduled`: delayed messages and retries of a reliable queue."""

import argparse

from townpost import keys
from townpost.cli.listing import SHOWN, moment, print_json, table, warn_of_skipped
from townpost.cli.queues import add_of, connected, settings_of
from townpost.patterns import PATTERNS
from townpost.patterns.reliable.inspect import scheduled
from townpost.settings import Settings
from townpost.text import excerpt

__all__ = ["add_arguments", "configure", "run", "show"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON object a line")


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)
    add_of(parser)


def run(given: argparse.Namespace) -> int:
    return show(given, settings_of(given, PATTERNS["reliable"]), "townpost")


def show(given: argparse.Namespace, settings: Settings, caller: str) -> int:
    with connected(settings) as connection:
        found = scheduled(connection, settings.reliable_queue, SHOWN)
    warn_of_skipped(caller, found.skipped, keys.of(settings.reliable_queue).scheduled, "messages")
    if given.json:
        for due, payload in found.rows:
            print_json({"due": due.isoformat(), "payload": payload.decode("utf-8", "backslashreplace")})
        return 0
    rows = [(moment(due), excerpt(payload)) for due, payload in found.rows]
    table(("due (UTC)", "payload"), rows, "nothing is scheduled")
    return 0
