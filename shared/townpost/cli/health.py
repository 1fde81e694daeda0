"""`townpost health`: the same answer as `python -m subscriber health`, for the service that writes HEALTH_FILE."""

import argparse

from townpost.health import check
from townpost.settings import Settings

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Exit status 0 if the service that writes HEALTH_FILE makes progress, 1 and a reason if not."


def run(_given: argparse.Namespace) -> int:
    settings = Settings.read()
    return check(settings.health_file, settings.health_seconds)
