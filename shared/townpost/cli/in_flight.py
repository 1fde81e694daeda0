"""`townpost in-flight`: the claims of a reliable queue, and until when each is leased."""

import argparse

from townpost import keys
from townpost.cli.listing import SHOWN, moment, print_json, table, warn_of_skipped
from townpost.cli.queues import add_of, connected, settings_of
from townpost.patterns import PATTERNS
from townpost.patterns.reliable.inspect import in_flight
from townpost.settings import Settings
from townpost.text import printable

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
        found = in_flight(connection, settings.reliable_queue, SHOWN)
    warn_of_skipped(caller, found.skipped, keys.of(settings.reliable_queue).leases, "claims")
    if given.json:
        for until, claim, count in found.rows:
            print_json({"until": until.isoformat(), "claim": claim, "messages": count})
        return 0
    rows = [(printable(claim), str(count), moment(until)) for until, claim, count in found.rows]
    table(("claim", "messages", "leased until (UTC)"), rows, "nothing is in flight")
    return 0
