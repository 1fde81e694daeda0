"""The tables, on SQLite and PostgreSQL alike; `migrations` makes them."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.engine import Dialect

__all__ = ["COUNTER", "METADATA", "OUTBOX", "TASKS", "Utc"]


class Utc(TypeDecorator[datetime]):
    """A moment in UTC; SQLite has no type for it and stores it without its offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

TASKS = Table(
    "tasks",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True, comment="its first change: the order of creation"),
    Column("version", Integer, nullable=False),
    Column("change", BigInteger, nullable=False, unique=True, comment="its latest change"),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Column("deleted_at", Utc, comment="set: a tombstone, without the columns below"),
    Column("description", Text),
    Column("priority", String(6)),
    Column("start", Utc),
    Column("due", Utc),
    Column("is_done", Boolean),
    Column("categories", JSON(none_as_null=True)),
    Column("sub_tasks", JSON(none_as_null=True)),
    CheckConstraint("(deleted_at IS NULL) = (description IS NOT NULL)", name="tombstone_is_empty"),
)
"""A deleted task stays as a tombstone, so that a client that asks for changes gets its deletion."""

COUNTER = Table(
    "change_counter",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("latest", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""The number of the latest change. A writer takes the next one first, and so holds the row until the
commit: numbers are given in the order of commits, and one that was rolled back is given again."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("change", BigInteger, primary_key=True, autoincrement=False),
    Column("message", Text, nullable=False, comment="as it goes over the wire"),
    Column("created_at", Utc, nullable=False),
)
"""Events that Redis has not acknowledged yet."""
