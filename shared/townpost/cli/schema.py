"""`townpost schema`: what a message looks like, for programs in any language."""

import argparse
import sys

from townpost.schema import asyncapi, dump, message_schema

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the JSON Schema of a message."
    parser.add_argument("--asyncapi", action="store_true", help="print the AsyncAPI document of channels and queues")


def run(given: argparse.Namespace) -> int:
    sys.stdout.write(dump(_document(given)))
    return 0


def _document(given: argparse.Namespace) -> dict[str, object]:
    """The document that the arguments choose: one more kind of document is one more branch."""
    return asyncapi() if given.asyncapi else message_schema()
