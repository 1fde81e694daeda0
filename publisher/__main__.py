"""Sends messages on every pattern that PATTERN names."""

import argparse
import sys

from townpost import SettingError, Settings, check_health
from townpost.cli.publish.arguments import add_arguments
from townpost.cli.publish.run import publish


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m publisher",
        description="Sends messages on every pattern that PATTERN names. Without arguments: a greeting every "
        "PUBLISH_INTERVAL seconds, until SIGTERM or SIGINT. `python -m publisher health`: 0 if the service that "
        "writes HEALTH_FILE is well.",
        epilog="Settings come from the environment and .env; .env.example explains each of them.",
    )
    add_arguments(parser)
    return parser


def main(arguments: list[str]) -> int:
    """Run, and return the exit status: 1 when Redis or a line of the file refused, 2 when a setting cannot be used.

    A stop by a signal is no failure: 0, with the number of those that were sent.
    """
    try:
        if arguments == ["health"]:
            settings = Settings.read()
            return check_health(settings.health_file, settings.health_seconds)
        parser = _parser()
        given = parser.parse_args(arguments)
        if given.text is not None and given.file is not None:
            parser.error("give a text or --file, not both")
        return publish(given)
    except SettingError as error:
        sys.stderr.write(f"publisher: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
