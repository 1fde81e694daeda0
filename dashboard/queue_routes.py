"""The routes for dead letters, scheduled messages and messages in flight: a connection to Redis for each request."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, params
from fastapi import Path as InPath

from townpost import PATTERNS, Connection, DeadLetters, Inspector, inspector, read_message

from . import listings
from .paths import Path, own_path
from .poller import Poller
from .schemas.requests import Choice, DeadLetter, DeadPage, Done, Edit, InFlightPage, Members, ScheduledPage
from .settings import DashboardSettings

__all__ = ["queue_routes"]

Redelivering = Literal["reliable", "stream"]
DeadLetterId = Annotated[str, InPath(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")]
Offset = Annotated[int, Query(ge=0, le=10_000)]
Limit = Annotated[int, Query(ge=1, le=200)]
Name = Annotated[str | None, Query(max_length=500)]


def queue_routes(app: FastAPI, settings: DashboardSettings, poller: Poller) -> None:
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
            raise HTTPException(404, f"no instance reports a {pattern} of that name, or no such group reads it")
        return asked

    redis, path = Depends(connected), Depends(chosen)
    _dead_letter_routes(app, settings, redis, path)
    _inspection_routes(app, settings, redis, path)
    _rescheduling_routes(app, settings, redis, path, poller)


def _dead_letter_routes(app: FastAPI, settings: DashboardSettings, redis: params.Depends, path: params.Depends) -> None:
    def dead_letters(connection: Annotated[Connection, redis], path: Annotated[Path, path]) -> DeadLetters:
        return DeadLetters(connection, PATTERNS[path.pattern], path.name)

    Dead = Annotated[DeadLetters, Depends(dead_letters)]  # noqa: N806 - a type

    @app.get("/api/dead/{pattern}")
    def dead_page(
        dead: Dead,
        after: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")] = None,
        limit: Limit = 50,
        reason: Annotated[str | None, Query(max_length=100)] = None,
    ) -> DeadPage:
        page = dead.page(after, limit, reason)
        dead_letters = [listings.dead_letter(dead_letter) for dead_letter in page.letters]
        return DeadPage(dead_letters=dead_letters, total=page.total, next=page.next)

    @app.get("/api/dead/{pattern}/{dead_letter_id}")
    def dead_letter(dead: Dead, dead_letter_id: DeadLetterId) -> DeadLetter:
        dead_letter = dead.excerpt(dead_letter_id, settings.max_message_bytes)
        if dead_letter is None:
            raise HTTPException(404, "this dead letter is no longer there")
        return listings.dead_letter(dead_letter, settings.max_message_bytes)

    @app.post("/api/dead/{pattern}/requeue")
    def requeue(dead: Dead, choice: Choice) -> Done:
        return _done(dead.requeue(_chosen(dead, choice)), "requeued")

    @app.post("/api/dead/{pattern}/purge")
    def purge(dead: Dead, choice: Choice) -> Done:
        return _done(dead.purge(_chosen(dead, choice)), "deleted")

    @app.post("/api/dead/{pattern}/{dead_letter_id}/edit")
    def edit(dead: Dead, dead_letter_id: DeadLetterId, given: Edit) -> Done:
        payload = given.payload.encode()
        read_message(payload, settings.max_message_bytes)
        return _done(dead.replace(dead_letter_id, payload), "requeued with other content")


def _chosen(dead: DeadLetters, choice: Choice) -> list[str]:
    return choice.ids if choice.ids is not None else dead.ids(choice.reason)


def _inspection_routes(app: FastAPI, settings: DashboardSettings, redis: params.Depends, path: params.Depends) -> None:
    Redis = Annotated[Connection, redis]  # noqa: N806 - a type
    Chosen = Annotated[Path, path]  # noqa: N806 - a type

    @app.get("/api/scheduled/{pattern}")
    def scheduled(path: Chosen, connection: Redis, offset: Offset = 0, limit: Limit = 50) -> ScheduledPage:
        page = _inspector(path, settings).scheduled(connection, offset, limit)
        return ScheduledPage(messages=[listings.scheduled(message) for message in page.rows], total=page.total)

    @app.get("/api/in-flight/{pattern}")
    def in_flight(path: Chosen, connection: Redis, offset: Offset = 0, limit: Limit = 50) -> InFlightPage:
        page = _inspector(path, settings).in_flight(connection, offset, limit)
        return InFlightPage(messages=[listings.in_flight(message) for message in page.rows], total=page.total)


def _rescheduling_routes(
    app: FastAPI, settings: DashboardSettings, redis: params.Depends, path: params.Depends, poller: Poller
) -> None:
    Redis = Annotated[Connection, redis]  # noqa: N806 - a type

    def reschedulable(path: Annotated[Path, path]) -> Path:
        if not PATTERNS[path.pattern].guarantees.schedules:
            raise HTTPException(404, f"what is scheduled on {path.pattern} cannot be changed")
        return path

    Chosen = Annotated[Path, Depends(reschedulable)]  # noqa: N806 - a type

    @app.post("/api/scheduled/{pattern}/now")
    def now(path: Chosen, given: Members, connection: Redis) -> Done:
        return _done(_inspector(path, settings).reschedule(connection, "now", given.members), "handed out")

    @app.post("/api/scheduled/{pattern}/purge")
    def purge_scheduled(path: Chosen, given: Members, connection: Redis) -> Done:
        removed = _inspector(path, settings).reschedule(connection, "purge", given.members)
        poller.losses.rebase(path.place)
        return _done(removed, "deleted")


def _inspector(path: Path, settings: DashboardSettings) -> Inspector:
    return inspector(path.pattern, path.name, group=path.group, lease_seconds=settings.lease_seconds)


def _done(count: int, what: str) -> Done:
    return Done(done=count, said=f"{count:,} {what}" if count else "nothing was there any more")
