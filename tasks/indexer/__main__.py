"""Listens to what happens to tasks, and keeps the search index up to date.

Usage: python -m tasks.indexer          listen until SIGTERM or SIGINT
       python -m tasks.indexer health   0 if the service that writes HEALTH_FILE is well
"""

import contextlib
import logging
import sys
import threading

from tasks import tracing
from tasks.index import index_of
from tasks.index.contract import IndexUnavailableError
from tasks.indexer.indexer import Indexer
from tasks.settings import TasksSettings
from townpost import Service, SettingError, check_health, logs

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run, and return the exit status: 2 when a setting cannot be used."""
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        settings = TasksSettings.read()
        logs.set_up(settings)
        if arguments == ["health"]:
            return check_health(settings.health_file, settings.health_seconds)
        if arguments:
            sys.stderr.write(f"{__doc__}\n")
            return 2
        index = index_of(settings)
        with contextlib.suppress(IndexUnavailableError):  # the loop logs it, and waits for the index
            index.open()
    except SettingError as error:
        sys.stderr.write(f"indexer: {error}\n")
        return 2
    tracing.set_up(settings, "tasks-indexer")
    stop = threading.Event()
    logging.getLogger("townpost.indexer").info("keeping the index %s up to date by %s", index, settings.via)
    return Service("indexer", settings, [Indexer(settings, index, stop)], stop).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
