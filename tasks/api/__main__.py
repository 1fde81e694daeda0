"""Keeps tasks, answers requests about them, and publishes what changes.

Usage: python -m tasks.api          serve until SIGTERM or SIGINT
       python -m tasks.api health   0 if the service that writes HEALTH_FILE is well
"""

import sys
import threading

from tasks import tracing
from tasks.api import app, database
from tasks.api.outbox import Outbox
from tasks.api.search import Search
from tasks.api.serving import Serving, bound
from tasks.api.store import Store
from tasks.index import index_of
from tasks.settings import TasksSettings
from townpost import Service, SettingError, check_health, logs


def main(arguments: list[str]) -> int:
    """Run, and return the exit status: 1 when the database did not answer in time, 2 when a setting cannot be used."""
    if arguments and arguments != ["health"]:
        wanted = arguments[0] in ("-h", "--help")
        (sys.stdout if wanted else sys.stderr).write(f"{__doc__}\n")
        return 0 if wanted else 2
    try:
        settings = TasksSettings.read()
        if arguments:
            return check_health(settings.health_file, settings.health_seconds)
        logs.set_up(settings)
        return _serve(settings)
    except SettingError as error:
        sys.stderr.write(f"tasks-api: {error}\n")
        return 2
    except database.DatabaseUnavailableError as error:
        sys.stderr.write(f"tasks-api: {error}\n")
        return 1


def _serve(settings: TasksSettings) -> int:
    sock = bound(settings)
    engine = database.ready(settings)
    tracing.set_up(settings, "tasks-api")
    stop = threading.Event()
    outbox = Outbox(engine, settings, stop)
    search = Search(index_of(settings))

    def served() -> None:
        outbox.served.set()
        outbox.wake()

    application = app.make(Store(engine, outbox.wake), search, outbox.waiting)
    try:
        return Service("tasks-api", settings, [Serving(application, sock, stop, served), outbox], stop).run()
    finally:
        search.close()
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
