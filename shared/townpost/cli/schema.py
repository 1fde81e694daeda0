"""`townpost schema`: what a message looks like, for programs in any language."""

import argparse
import sys

from townpost.cli.loading import load
from townpost.errors import SettingError
from townpost.schema import asyncapi, dump, message_schema

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the JSON Schema of a message, or what an app receives as an AsyncAPI document."
    parser.add_argument("app", nargs="?", metavar="module:app", help="the app; its payloads are described as well")
    parser.add_argument("--asyncapi", action="store_true", help="print the AsyncAPI document of channels and queues")


def run(given: argparse.Namespace) -> int:
    sys.stdout.write(dump(_document(given)))
    return 0


def _document(given: argparse.Namespace) -> dict[str, object]:
    if given.app is not None:
        from townpost.consuming.app import App
        from townpost.consuming.describing import describe

        app = load(given.app)
        if not isinstance(app, App):
            raise SettingError(f"{given.app} is no App of townpost")
        return describe(app, given.app)
    return asyncapi() if given.asyncapi else message_schema()
