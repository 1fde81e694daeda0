"""The embedded index: one SQLite file with its full-text extension FTS5, no server.

The indexer writes, the API reads, in processes of their own: with the write-ahead log neither waits for the other.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.index.contract import Criteria, Hits, IndexUnavailableError, Range
from tasks.index.fields import microseconds, texts, words
from tasks.task import Change, Task
from townpost import SettingError

__all__ = ["FtsIndex"]

_BUSY_SECONDS = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    task TEXT,  -- JSON; NULL is a tombstone: a late update must find that it is late
    priority TEXT,
    is_done INTEGER,
    start INTEGER,
    due INTEGER,
    created INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS newest ON tasks (created DESC, id) WHERE task IS NOT NULL;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    description, sub_tasks, categories, tokenize = "unicode61 remove_diacritics 2"
);
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), cursor INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO progress VALUES (1, 0);
"""
_APPLY = """
INSERT INTO tasks (id, version, task, priority, is_done, start, due, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, task = excluded.task, priority = excluded.priority, is_done = excluded.is_done,
    start = excluded.start, due = excluded.due, created = excluded.created
WHERE excluded.version > tasks.version
RETURNING number
"""


class FtsIndex:
    """Implements `tasks.index.contract.Index`."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened or made before `open`."""
        self._path = path.absolute()
        self._writer: sqlite3.Connection | None = None

    def __str__(self) -> str:
        return str(self._path)

    def open(self) -> None:
        self.close()
        if not self._path.parent.is_dir():
            raise SettingError(f"INDEX_URL cannot be used: there is no folder {self._path.parent}")
        if self._path.is_dir():
            raise SettingError(f"INDEX_URL cannot be used: {self._path} is a folder, not a file")
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                with self._translated(opening=True):
                    self._writer = self._connect()
                    self._writer.execute("PRAGMA journal_mode = WAL")
                    # a power cut may take back the last changes, all of them in order, and the cursor with them
                    self._writer.execute("PRAGMA synchronous = NORMAL")
                    with self._writer:
                        self._writer.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
            except IndexUnavailableError as error:
                self.close()
                # two that open a new file at once: one finds it locked, and SQLite does not wait for that
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def apply(self, changes: Sequence[Change]) -> int:
        made_a_difference = 0
        with self._writing() as db:
            for change in changes:
                task = change.task
                row = db.execute(_APPLY, (str(change.id), change.version, *_columns(task))).fetchone()
                if row is None:
                    continue
                made_a_difference += 1
                db.execute("DELETE FROM words WHERE rowid = ?", row)
                if task is not None:
                    db.execute(
                        "INSERT INTO words (rowid, description, sub_tasks, categories) VALUES (?, ?, ?, ?)",
                        (*row, *texts(task)),
                    )
        return made_a_difference

    def search(self, criteria: Criteria) -> Hits:
        where, values = _condition(criteria)
        found = words(criteria.text)
        source, order = "tasks", "created DESC, id"
        if found:
            source, order = "words JOIN tasks ON number = words.rowid", "rank, id"
            where.append("words MATCH ?")
            values.append(" ".join(f'"{word}"' for word in found))
        condition = " AND ".join(["task IS NOT NULL", *where])
        with self._translated(), contextlib.closing(self._connect()) as db:
            db.execute("BEGIN")  # both see the same moment
            (total,) = db.execute(f"SELECT count(*) FROM {source} WHERE {condition}", values).fetchone()  # noqa: S608 - the condition is made of our own words, its values are bound
            rows = db.execute(
                f"SELECT task FROM {source} WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608 - the condition is made of our own words, its values are bound
                (*values, criteria.limit, criteria.offset),
            ).fetchall()
        return Hits(total, [Task.model_validate_json(row[0]) for row in rows])

    def cursor(self) -> int:
        with self._translated():
            (cursor,) = self._open().execute("SELECT cursor FROM progress").fetchone()
        return int(cursor)

    def move(self, cursor: int) -> None:
        with self._writing() as db:
            db.execute("UPDATE progress SET cursor = ?", (cursor,))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _connect(self) -> sqlite3.Connection:
        # no transaction is begun behind our back; open, cursor and close may be called by another thread than apply
        return sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _open(self) -> sqlite3.Connection:
        if self._writer is None:
            raise IndexUnavailableError(f"the index {self._path} is not open")
        return self._writer

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            with db:  # commits, or rolls back
                yield db

    @contextlib.contextmanager
    def _translated(self, *, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            # operational: locked, full, gone, not to be read; that may pass
            if opening and not isinstance(error, sqlite3.OperationalError):
                raise SettingError(
                    f"INDEX_URL cannot be used: {self._path}: {error}; delete the file, and the indexer makes it anew"
                ) from error
            raise IndexUnavailableError(f"the index {self._path} cannot be used: {error}") from error


def _columns(task: Task | None) -> tuple[str | int | None, ...]:
    if task is None:
        return (None,) * 6
    return (
        task.model_dump_json(),
        task.priority,
        task.is_done,
        microseconds(task.dates.start),
        microseconds(task.dates.due),
        microseconds(task.created_at),
    )


def _condition(criteria: Criteria) -> tuple[list[str], list[str | int | None]]:
    """SQL conditions on the columns, and the values of their question marks."""
    where: list[str] = []
    values: list[str | int | None] = []
    for column, value in (("priority", criteria.priority), ("is_done", criteria.is_done)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    for column, within in (("start", criteria.start), ("due", criteria.due)):
        for sign, moment in _ends(within):
            where.append(f"{column} {sign}")
            values += [] if moment is None else [moment]
    return where, values


def _ends(within: Range | None) -> list[tuple[str, int | None]]:
    if within is None:
        return []
    ends = [(">= ?", microseconds(within.since)), ("<= ?", microseconds(within.until))]
    return [("IS NOT NULL", None), *((sign, moment) for sign, moment in ends if moment is not None)]
