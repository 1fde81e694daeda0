"""The tasks in the database; every change takes its number and leaves its event in the same transaction."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, RowMapping, Select, and_, bindparam, insert, select, update

from tasks import tracing
from tasks.api.database import for_writing, reached
from tasks.api.tables import COUNTER, OUTBOX, TASKS
from tasks.events import Event, Kind
from tasks.task import Change, Dates, Task, TaskIn
from townpost import TownpostError

__all__ = ["ChangedSince", "ConflictError", "Found", "NoTaskError", "Store"]

_CONTENT = ("description", "priority", "start", "due", "is_done", "categories", "sub_tasks")
_EMPTY: Mapping[str, None] = dict.fromkeys(_CONTENT)

# put together once: SQLAlchemy takes longer for that than SQLite for the rest
_TAKE_NUMBER = update(COUNTER).values(latest=COUNTER.c.latest + 1).returning(COUNTER.c.latest)
_ADD = insert(TASKS)
_CHANGE = update(TASKS).where(TASKS.c.id == bindparam("of"))
_ONE = select(TASKS).where(TASKS.c.id == bindparam("of"), TASKS.c.deleted_at.is_(None))
_TELL = insert(OUTBOX)


class NoTaskError(TownpostError):
    """There is no task with this id, or no longer."""


class ConflictError(TownpostError):
    """The task is of another version than the caller thinks."""


@dataclass(frozen=True, slots=True)
class Found:
    tasks: Sequence[Task]
    next: int | None
    """Where the next page begins; None: this is the last."""


@dataclass(frozen=True, slots=True)
class ChangedSince:
    changes: Sequence[Change]
    next: int
    """Every change up to this number is among them, or was followed by a later one of the same task."""
    last: int
    """The newest number there was. With ``next`` the same, the caller knows everything."""


class Store:
    """For many threads. Every method raises DatabaseUnavailableError if the database does not answer."""

    def __init__(self, engine: Engine, changed: Callable[[], None] = lambda: None) -> None:
        """``changed`` is called after each commit."""
        self._engine = engine
        self._writing = for_writing(engine)
        # SQLite lets in one at a time, and those who wait for it ask again and again, in no order
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )
        self._changed = changed

    def create(self, given: TaskIn) -> Task:
        with self._change() as (connection, number):
            now = datetime.now(UTC)
            task = Task(**dict(given), id=uuid4(), version=1, change=number, created_at=now, updated_at=now)
            connection.execute(_ADD, {"id": task.id, "number": number, **_columns(task)})
            _tell(connection, "created", Change.to(task))
        self._changed()
        return task

    def get(self, task_id: UUID) -> Task:
        """Raises NoTaskError."""
        with reached(), self._engine.begin() as connection:
            return _existing(connection, task_id)

    def replace(self, task_id: UUID, given: TaskIn, versions: Collection[int] | None = None) -> Task:
        """Write all of it anew.

        Args:
            task_id: the task.
            given: its new content.
            versions: it must have one of these; None takes any.

        Raises:
            NoTaskError, ConflictError
        """
        with self._change() as (connection, number):
            old = _expected(connection, task_id, versions)
            task = Task(
                **dict(given),
                id=task_id,
                version=old.version + 1,
                change=number,
                created_at=old.created_at,
                updated_at=datetime.now(UTC),
            )
            connection.execute(_CHANGE, {"of": task_id, **_columns(task)})
            _tell(connection, "updated", Change.to(task))
        self._changed()
        return task

    def delete(self, task_id: UUID, versions: Collection[int] | None = None) -> Change:
        """As `replace`; what stays is a tombstone."""
        with self._change() as (connection, number):
            old = _expected(connection, task_id, versions)
            tombstone = Change(id=task_id, version=old.version + 1, change=number)
            now = datetime.now(UTC)
            gone = {"version": tombstone.version, "change": number, "updated_at": now, "deleted_at": now}
            connection.execute(_CHANGE, {"of": task_id, **gone, **_EMPTY})
            _tell(connection, "deleted", tombstone)
        self._changed()
        return tombstone

    def list(self, after: int, limit: int) -> Found:
        """Those that are not deleted, oldest creation first."""
        wanted = and_(TASKS.c.number > after, TASKS.c.deleted_at.is_(None))
        rows = self._rows(select(TASKS).where(wanted).order_by(TASKS.c.number).limit(limit + 1))
        page = rows[:limit]
        return Found([_task(row) for row in page], page[-1]["number"] if len(rows) > limit else None)

    def changes(self, after: int, limit: int) -> ChangedSince:
        """The latest state of each task that has changed since, in the order of these changes, tombstones included."""
        with reached(), self._engine.begin() as connection:
            # asked first: what commits between the two questions may be among the changes, and is then not missing
            last = connection.execute(select(COUNTER.c.latest)).scalar_one()
            query = select(TASKS).where(TASKS.c.change > after).order_by(TASKS.c.change).limit(limit)
            rows = connection.execute(query).mappings().all()
        changes = [_as_change(row) for row in rows]
        reaches = changes[-1].change if changes else after
        return ChangedSince(changes, reaches if len(rows) == limit else max(reaches, last), max(reaches, last))

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        with reached(), self._engine.begin() as connection:
            return connection.execute(query).mappings().all()

    @contextmanager
    def _change(self) -> Iterator[tuple[Connection, int]]:
        with self._turn, reached(), self._writing.begin() as connection:
            yield connection, connection.execute(_TAKE_NUMBER).scalar_one()


def _tell(connection: Connection, kind: Kind, change: Change) -> None:
    message = Event(event=kind, **dict(change)).message(tracing.traceparent())
    row = {"change": change.change, "message": message.encode().decode(), "created_at": message.timestamp}
    connection.execute(_TELL, row)


def _existing(connection: Connection, task_id: UUID) -> Task:
    row = connection.execute(_ONE, {"of": task_id}).mappings().one_or_none()
    if row is None:
        raise NoTaskError(f"there is no task {task_id}")
    return _task(row)


def _expected(connection: Connection, task_id: UUID, versions: Collection[int] | None) -> Task:
    task = _existing(connection, task_id)
    if versions is not None and task.version not in versions:
        raise ConflictError(f"task {task_id} is of version {task.version} now: read it again and decide anew")
    return task


def _columns(task: Task) -> dict[str, Any]:
    values = task.model_dump(exclude={"id", "dates"})
    return values | {"start": task.dates.start, "due": task.dates.due}


def _task(row: RowMapping) -> Task:
    values = {name: row[name] for name in Task.model_fields if name != "dates"}
    return Task(**values, dates=Dates(start=row["start"], due=row["due"]))


def _as_change(row: RowMapping) -> Change:
    if row["deleted_at"] is None:
        return Change.to(_task(row))
    return Change(id=row["id"], version=row["version"], change=row["change"])
