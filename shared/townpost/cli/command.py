"""The first word chooses the subcommand; its module is imported then, and no other."""

import argparse
import importlib
import importlib.metadata
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from townpost.cli.ending import exit_status

__all__ = ["COMMANDS", "main"]


class _Subcommand(Protocol):
    def configure(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, given: argparse.Namespace, /) -> int: ...


class Command(NamedTuple):
    module: str
    help: str


COMMANDS = {
    "run": Command("run", "run the handlers of an app: townpost run module:app"),
    "publish": Command("publish", "send a text, or the JSON lines of a file"),
    "dead": Command("dead", "list, show, requeue or purge dead letters"),
    "scheduled": Command("scheduled", "list delayed messages and retries of a reliable queue"),
    "in-flight": Command("in_flight", "list claims and their leases of a reliable queue"),
    "health": Command("health", "0 if the service that writes HEALTH_FILE is well"),
    "schema": Command("schema", "print the JSON Schema of a message, or an AsyncAPI document"),
    "dashboard": Command("dashboard", "serve the live page of what flows through Redis"),
}


_COLUMN = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit status: 1 when Redis refused or did not answer, 2 when a setting cannot be used."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # not if it is closed
        sys.stdout.reconfigure(errors="backslashreplace")
    return exit_status("townpost", lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(words: Sequence[str]) -> int:
    chosen = next((word for word in words if not word.startswith("-")), None)  # no option before it takes a value
    parser = _parser(chosen)
    given = parser.parse_args(words)
    return _module(given.command).run(given)


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="townpost",
        usage="townpost [-h] [--version] COMMAND ...",
        description=_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    parts = parser.add_subparsers(
        prog="townpost", dest="command", required=True, metavar="COMMAND", help=argparse.SUPPRESS
    )
    for name, command in COMMANDS.items():
        part = parts.add_parser(name, description=f"{command.help[0].upper()}{command.help[1:]}.")
        if name == chosen:
            _module(name).configure(part)
    return parser


def _help() -> str:
    commands = "\n".join(f"  {name:<{_COLUMN}}{command.help}" for name, command in COMMANDS.items())
    return f"""\
Messages through Redis: run handlers, publish, and look after what waits, failed or is in flight.

{commands}

`townpost COMMAND --help` has the options of each. Settings come from the environment and from .env."""


def _module(name: str) -> _Subcommand:
    return cast("_Subcommand", importlib.import_module(f"townpost.cli.{COMMANDS[name].module}"))


def _version() -> str:
    try:
        return f"townpost {importlib.metadata.version('townpost')}"
    except importlib.metadata.PackageNotFoundError:
        return f"townpost, not installed: it runs from {Path(__file__).parents[2]}"
