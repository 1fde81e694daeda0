"""The routes for dead letters, for what is scheduled and what is in flight: a connection to Redis for each request."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, params
from fastapi import Path as InPath

from townpost import PATTERNS, Connection, DeadLetters, keys, read_message

from . import scripts, tables
from .exchange import Choice, DeadLetter, DeadPage, Done, Edit, FlightPage, Members, ScheduledPage
from .paths import Path, own_path
from .poller import Poller
from .settings import DashboardSettings

__all__ = ["letters_routes"]

Redelivering = Literal["reliable", "stream"]
LetterId = Annotated[str, InPath(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")]
Offset = Annotated[int, Query(ge=0, le=10_000)]
Limit = Annotated[int, Query(ge=1, le=200)]
Name = Annotated[str | None, Query(max_length=500)]


def letters_routes(app: FastAPI, settings: DashboardSettings, poller: Poller) -> None:
    def connected() -> Iterator[Connection]:
        connection = Connection(settings.url, name="townpost-dashboard-request")
        connection.connect()
        try:
            yield connection
        finally:
            connection.close()

    def chosen(pattern: Redelivering, name: Name = None, group: Name = None) -> Path:
        own = own_path(settings, pattern)
        if name is None:
            return own
        asked = Path(pattern, name, (group or own.group) if own.group else "")
        if asked.place != own.place and asked not in poller.paths:
            raise HTTPException(404, f"nobody reports a {pattern} of that name, or no such group reads it")
        return asked

    redis, path = Depends(connected), Depends(chosen)
    _dead_routes(app, settings, redis, path)
    _scheduled_routes(app, settings, redis, path)
    _purging_routes(app, redis, path, poller)


def _dead_routes(app: FastAPI, settings: DashboardSettings, redis: params.Depends, path: params.Depends) -> None:
    Redis = Annotated[Connection, redis]  # noqa: N806 - a type
    Chosen = Annotated[Path, path]  # noqa: N806 - a type

    def dead(connection: Connection, path: Path) -> DeadLetters:
        return DeadLetters(connection, PATTERNS[path.pattern], path.name)

    def ids(connection: Connection, path: Path, choice: Choice) -> list[str]:
        if choice.ids is not None:
            return choice.ids
        every = tables.each_letter(connection, keys.of(path.name).dead)
        return [letter for letter, reason in every if choice.all or reason == choice.reason]

    @app.get("/api/dead/{pattern}")
    def dead_page(
        path: Chosen,
        connection: Redis,
        after: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")] = None,
        limit: Limit = 50,
        reason: Annotated[str | None, Query(max_length=100)] = None,
    ) -> DeadPage:
        return tables.dead_page(connection, keys.of(path.name).dead, after, limit, reason)

    @app.get("/api/dead/{pattern}/{letter_id}")
    def dead_letter(path: Chosen, letter_id: LetterId, connection: Redis) -> DeadLetter:
        letter = tables.dead_letter(connection, keys.of(path.name).dead, letter_id, settings.max_message_bytes)
        if letter is None:
            raise HTTPException(404, "this dead letter is no longer there")
        return letter

    @app.post("/api/dead/{pattern}/requeue")
    def requeue(path: Chosen, choice: Choice, connection: Redis) -> Done:
        return _done(dead(connection, path).requeue(ids(connection, path, choice)), "requeued")

    @app.post("/api/dead/{pattern}/purge")
    def purge(path: Chosen, choice: Choice, connection: Redis) -> Done:
        return _done(dead(connection, path).purge(ids(connection, path, choice)), "deleted")

    @app.post("/api/dead/{pattern}/{letter_id}/edit")
    def edit(path: Chosen, letter_id: LetterId, given: Edit, connection: Redis) -> Done:
        payload = given.payload.encode()
        read_message(payload, settings.max_message_bytes)
        return _done(dead(connection, path).replace(letter_id, payload), "requeued with other content")


def _scheduled_routes(app: FastAPI, settings: DashboardSettings, redis: params.Depends, path: params.Depends) -> None:
    Redis = Annotated[Connection, redis]  # noqa: N806 - a type
    Chosen = Annotated[Path, path]  # noqa: N806 - a type

    @app.get("/api/scheduled/{pattern}")
    def scheduled(path: Chosen, connection: Redis, offset: Offset = 0, limit: Limit = 50) -> ScheduledPage:
        return tables.scheduled(connection, path, settings.lease_seconds, offset, limit)

    @app.get("/api/in-flight/{pattern}")
    def in_flight(path: Chosen, connection: Redis, offset: Offset = 0, limit: Limit = 50) -> FlightPage:
        return tables.flights(connection, path, offset, limit)


def _purging_routes(app: FastAPI, redis: params.Depends, path: params.Depends, poller: Poller) -> None:
    Redis = Annotated[Connection, redis]  # noqa: N806 - a type
    Chosen = Annotated[Path, path]  # noqa: N806 - a type

    def changed(connection: Connection, path: Path, action: str, given: Members) -> int:
        if path.pattern != "reliable":
            raise HTTPException(404, "only what is scheduled on reliable can be changed")
        named = [(score, sha) for score, _, sha in (name.rpartition("-") for name in given.members) if score]
        reply = connection.call(*scripts.reschedule(keys.of(path.name).scheduled, action, named))
        return reply if isinstance(reply, int) else 0

    @app.post("/api/scheduled/{pattern}/now")
    def now(path: Chosen, given: Members, connection: Redis) -> Done:
        return _done(changed(connection, path, "now", given), "handed out")

    @app.post("/api/scheduled/{pattern}/purge")
    def purge_scheduled(path: Chosen, given: Members, connection: Redis) -> Done:
        removed = changed(connection, path, "purge", given)
        poller.losses.rebase(path.place)
        return _done(removed, "deleted")


def _done(count: int, what: str) -> Done:
    return Done(done=count, said=f"{count:,} {what}" if count else "nothing was there any more")
