"""`python -m subscriber dead|scheduled|in-flight`: the library's own commands, of the queue or stream that is set."""

import argparse
from collections.abc import Sequence

from townpost import Settings
from townpost.cli import dead, in_flight, scheduled
from townpost.cli.ending import exit_status

__all__ = ["main"]

_OLD_IN_FLIGHT = "in-hand"
"""Understood until version 0.3, and not listed."""


def main(arguments: Sequence[str], settings: Settings) -> int:
    """Run one command; the exit status: 1 when there was nothing of that name, or Redis did not answer."""
    parser = argparse.ArgumentParser(prog="python -m subscriber")
    parts = parser.add_subparsers(dest="part", required=True, metavar="dead|scheduled|in-flight")
    dead.add_arguments(parts.add_parser("dead", help="messages that no handler could handle"))
    scheduled.add_arguments(parts.add_parser("scheduled", help="delayed messages and retries of the reliable queue"))
    in_flight.add_arguments(parts.add_parser("in-flight", help="claims and their leases of the reliable queue"))
    in_flight.add_arguments(parts.add_parser(_OLD_IN_FLIGHT))
    given = parser.parse_args(arguments)
    return exit_status("subscriber", lambda: _run(given, settings))


def _run(given: argparse.Namespace, settings: Settings) -> int:
    if given.part == "scheduled":
        return scheduled.show(given, settings, "subscriber")
    if given.part in ("in-flight", _OLD_IN_FLIGHT):
        return in_flight.show(given, settings, "subscriber")
    return dead.manage(given, settings)
