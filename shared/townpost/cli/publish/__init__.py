"""`townpost publish`: a text, or the JSON lines of a file, to a queue, stream or channel."""

import argparse
from collections.abc import Callable

from townpost.cli.publish.arguments import add_arguments

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Send messages on every pattern that PATTERN names, until they are acknowledged by Redis."
    add_arguments(parser)
    parser.add_argument(
        "--to",
        metavar="NAME",
        help="the queue, stream or channel of this name; a reliable queue unless --pattern or PATTERN says otherwise",
    )
    parser.add_argument("--type", help="what kind of event it is, e.g. order.placed: handlers are chosen by it")
    parser.add_argument("--key", help="what must stay in order together, e.g. a customer's id")
    parser.set_defaults(refuse=parser.error)


def run(given: argparse.Namespace) -> int:
    refuse: Callable[[str], None] = given.refuse
    if (given.text is None) == (given.file is None):
        refuse("give either a text or --file")
    if given.to == "":
        refuse("argument --to: a name has at least one character")
    from townpost.cli.publish.run import publish  # after the arguments are known to be of use: slow to import

    return publish(given)
