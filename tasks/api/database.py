"""Connections to SQLite or PostgreSQL, and the tables in it brought up to date at the start.

SQLite runs in WAL mode, so that reading and writing do not wait for each other, and waits for the disk at each
commit, as PostgreSQL does. A writer begins with BEGIN IMMEDIATE: a transaction that reads first and then
writes could be refused in its middle.
"""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tasks.settings import TasksSettings
from townpost import SettingError, TownpostError

__all__ = ["DatabaseUnavailableError", "connect", "for_writing", "migrate", "reached", "ready"]

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_827_837_001  # of PostgreSQL's advisory locks; any number, the same in every instance
_BUSY_SECONDS = 10.0
_PAUSE_SECONDS = 0.5
_CONNECTIONS = 40  # as many as there are threads that handle requests
# an instance that is frozen, or cut off, amid a change must not keep all others from theirs
_POSTGRES_OPTIONS = "-c timezone=utc -c lock_timeout=10s -c idle_in_transaction_session_timeout=15s"
_FINAL = ("authentication failed", "does not exist", "no password supplied", "permission denied", "pg_hba.conf")


class DatabaseUnavailableError(TownpostError):
    """The database did not answer, or not in time; whether a commit on its way was made is unknown."""


def connect(url: str) -> Engine:
    """An engine that has not connected yet."""
    if url.startswith("sqlite"):
        engine = create_engine(
            url, connect_args={"timeout": _BUSY_SECONDS}, pool_size=_CONNECTIONS, max_overflow=_CONNECTIONS
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        connect_args={
            "connect_timeout": 5,
            "application_name": "townpost-tasks",
            "client_encoding": "utf8",  # a database in SQL_ASCII has none of its own
            "options": _POSTGRES_OPTIONS,
        },
        pool_size=_CONNECTIONS // 2,
        max_overflow=_CONNECTIONS // 2,
        pool_pre_ping=True,
    )


def for_writing(engine: Engine) -> Engine:
    """The same connections, for transactions that write."""
    return engine.execution_options(begin="IMMEDIATE")


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 would begin transactions by rules of its own
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.execute("PRAGMA synchronous=FULL").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")


@contextmanager
def reached() -> Iterator[None]:
    """Turns what the drivers raise when the database is away into an error of ours.

    Raises:
        DatabaseUnavailableError
    """
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        raise DatabaseUnavailableError(f"the database does not answer: {_reason(error)}") from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError("the database is too slow: every connection is in use") from error


def ready(settings: TasksSettings) -> Engine:
    """A database that answers and has the newest tables.

    Raises:
        SettingError: DATABASE_URL can never be used.
        DatabaseUnavailableError: it has not answered for CONNECT_TIMEOUT seconds.
    """
    engine = connect(settings.database_url)
    try:
        _bring_up(engine, settings)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _bring_up(engine: Engine, settings: TasksSettings) -> None:
    log = logging.getLogger("townpost.database")
    where = make_url(settings.database_url).render_as_string(hide_password=True)
    if engine.dialect.name == "sqlite" and not (folder := Path(engine.url.database or "").absolute().parent).is_dir():
        raise SettingError(f"DATABASE_URL={where} cannot be used: the folder {folder} does not exist")
    deadline = time.monotonic() + settings.connect_timeout
    while True:
        try:
            with reached():
                before, now = migrate(engine)
        except DatabaseUnavailableError as error:
            if _is_final(engine, str(error)):
                raise SettingError(f"DATABASE_URL={where} cannot be used: {error}") from None
            if time.monotonic() >= deadline:
                raise DatabaseUnavailableError(
                    f"{error}; gave up after CONNECT_TIMEOUT={settings.connect_timeout:g} s: start the database "
                    f"there, or say in DATABASE_URL where it is (it is {where})"
                ) from error
            log.warning("%s; trying again", error)
            time.sleep(_PAUSE_SECONDS)
        except (CommandError, DBAPIError) as error:
            raise SettingError(
                f"DATABASE_URL={where} holds tables of another version or program: {_reason(error)}"
            ) from None
        else:
            log.info("%s, tables of version %s%s", where, now, "" if now == before else " made now")
            return


def migrate(engine: Engine) -> tuple[str | None, str | None]:
    """Bring the tables up to date; instances that start together wait for each other. The versions before and after."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with for_writing(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        before = MigrationContext.configure(connection).get_current_revision()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, MigrationContext.configure(connection).get_current_revision()


def _is_final(engine: Engine, reason: str) -> bool:
    """Whether waiting is in vain."""
    if engine.dialect.name == "sqlite":
        return "locked" not in reason
    return any(words in reason for words in _FINAL)


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
