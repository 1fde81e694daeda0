"""Handlers that write to the database that EFFECTS names; imported by other processes, too."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from townpost import App, Message, Publisher, Settings

app = App()


@contextlib.contextmanager
def database() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(os.environ["EFFECTS"])) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS charged (id TEXT)")
        connection.execute("CREATE TABLE IF NOT EXISTS charged_once (id TEXT PRIMARY KEY)")
        yield connection


def rows(table: str) -> int:
    with database() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - ours


@app.handler("orders")
def naive(message: Message) -> None:
    with database() as connection:
        connection.execute("INSERT INTO charged VALUES (?)", [str(message.id)])


def idempotent(message: Message) -> None:
    with database() as connection:
        connection.execute("INSERT OR IGNORE INTO charged_once VALUES (?)", [str(message.id)])


def strict(message: Message) -> None:
    with database() as connection:
        connection.execute("INSERT INTO charged_once VALUES (?)", [str(message.id)])


async def async_naive(message: Message) -> None:
    naive(message)


@app.handler("orders.log", pattern="stream", group="audit")
async def async_idempotent(message: Message) -> None:
    idempotent(message)


@app.handler("orders.groups", pattern="stream", group="billing")
def billing(message: Message) -> None:
    naive(message)


@app.handler("orders.groups", pattern="stream", group="audit")
def audit(message: Message) -> None:
    idempotent(message)


def forwarding(_: Message) -> None:
    """Its effect is another message."""
    settings = Settings.read(pattern="reliable", reliable_queue="mail")
    with Publisher(settings=settings, report=False) as publisher:
        publisher.send([Message.create("charged")])


def failing(_: Message) -> None:
    raise ValueError("no such customer")


def idle(_: Message) -> None:
    pass
