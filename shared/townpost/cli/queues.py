"""The queue or stream that a command is about, and the connection to its server."""

import argparse
import contextlib
from collections.abc import Iterator

from townpost import logs
from townpost.patterns.contract import Pattern
from townpost.redis.connection import Connection
from townpost.settings import Settings

__all__ = ["add_of", "connected", "settings_of"]


def add_of(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    parser.add_argument("--of", metavar="NAME", type=_name, default=default, help="the queue or stream of this name")


def _name(word: str) -> str:
    if not word:
        raise argparse.ArgumentTypeError("a name has at least one character")
    return word


def settings_of(given: argparse.Namespace, pattern: Pattern) -> Settings:
    """The settings, with the queue or stream that ``--of`` names; logs go to standard error.

    Raises:
        SettingError
    """
    settings = Settings.read(**{pattern.setting.lower(): given.of})
    logs.set_up(settings)
    return settings


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    connection = Connection(settings.url, name="townpost-cli")
    try:
        connection.connect()
        yield connection
    finally:
        connection.close()
