"""The routes for dead letters, for what is scheduled and what is in flight: a connection to Redis for each request."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, params
from fastapi import Path as InPath

from dashboard import tables
from dashboard.exchange import Choice, DeadLetter, DeadPage, Done, Edit, FlightPage, Members, ScheduledPage
from dashboard.losses import Losses
from dashboard.settings import DashboardSettings
from shared import keys
from shared.connection import Link
from shared.message import read
from shared.patterns import PATTERNS
from shared.patterns.letters import DeadLetters

__all__ = ["letters_routes"]

_AT_A_TIME = 50
"""Each may have a megabyte."""

Redelivering = Literal["reliable", "stream"]
LetterId = Annotated[str, InPath(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")]
Offset = Annotated[int, Query(ge=0, le=10_000)]
Limit = Annotated[int, Query(ge=1, le=200)]


def letters_routes(app: FastAPI, settings: DashboardSettings, losses: Losses) -> None:
    def connected() -> Iterator[Link]:
        link = Link(settings.url, name="townpost-dashboard-request")
        link.connect()
        try:
            yield link
        finally:
            link.close()

    redis = Depends(connected)
    _dead_routes(app, settings, redis)
    _scheduled_routes(app, settings, redis, losses)


def _dead_routes(app: FastAPI, settings: DashboardSettings, redis: params.Depends) -> None:
    Redis = Annotated[Link, redis]  # noqa: N806 - a type

    def dead(link: Link, name: str) -> DeadLetters:
        return DeadLetters(link, PATTERNS[name], settings.name_of(PATTERNS[name]))

    def chosen(letters: DeadLetters, choice: Choice) -> list[str]:
        if choice.ids is not None:
            return choice.ids
        return [letter.id for letter in letters.each(page=_AT_A_TIME) if choice.all or letter.reason == choice.reason]

    @app.get("/api/dead/{pattern}")
    def dead_page(
        pattern: Redelivering,
        link: Redis,
        after: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")] = None,
        limit: Limit = 50,
        reason: Annotated[str | None, Query(max_length=100)] = None,
    ) -> DeadPage:
        return tables.dead_page(dead(link, pattern), after, limit, reason)

    @app.get("/api/dead/{pattern}/{letter_id}")
    def dead_letter(pattern: Redelivering, letter_id: LetterId, link: Redis) -> DeadLetter:
        letter = dead(link, pattern).one(letter_id)
        if letter is None:
            raise HTTPException(404, "this dead letter is no longer there")
        return tables.dead_letter(letter, whole=True)

    @app.post("/api/dead/{pattern}/requeue")
    def requeue(pattern: Redelivering, choice: Choice, link: Redis) -> Done:
        letters = dead(link, pattern)
        return _done(letters.requeue(chosen(letters, choice)), "requeued")

    @app.post("/api/dead/{pattern}/purge")
    def purge(pattern: Redelivering, choice: Choice, link: Redis) -> Done:
        letters = dead(link, pattern)
        return _done(letters.purge(chosen(letters, choice)), "deleted")

    @app.post("/api/dead/{pattern}/{letter_id}/edit")
    def edit(pattern: Redelivering, letter_id: LetterId, given: Edit, link: Redis) -> Done:
        payload = given.payload.encode()
        read(payload, settings.max_message_bytes)
        return _done(dead(link, pattern).replace(letter_id, payload), "requeued with other content")


def _scheduled_routes(app: FastAPI, settings: DashboardSettings, redis: params.Depends, losses: Losses) -> None:
    Redis = Annotated[Link, redis]  # noqa: N806 - a type

    @app.get("/api/scheduled/{pattern}")
    def scheduled(pattern: Redelivering, link: Redis, offset: Offset = 0, limit: Limit = 50) -> ScheduledPage:
        return tables.scheduled(link, settings, pattern, offset, limit)

    @app.post("/api/scheduled/{pattern}/now")
    def now(pattern: Literal["reliable"], given: Members, link: Redis) -> Done:
        key = keys.scheduled(settings.name_of(PATTERNS[pattern]))
        found = tables.members(link, settings.reliable_queue, given.members)
        # due since 1970: the next claim takes it, within two seconds
        changed = [link.call("ZADD", key, "XX", "CH", 1, member) for member in found]
        return _done(sum(reply for reply in changed if isinstance(reply, int)), "handed out")

    @app.post("/api/scheduled/{pattern}/purge")
    def purge_scheduled(pattern: Literal["reliable"], given: Members, link: Redis) -> Done:
        key = keys.scheduled(settings.name_of(PATTERNS[pattern]))
        found = tables.members(link, settings.reliable_queue, given.members)
        removed = [link.call("ZREM", key, member) for member in found]
        losses.rebase(pattern)
        return _done(sum(reply for reply in removed if isinstance(reply, int)), "deleted")

    @app.get("/api/in-flight/{pattern}")
    def in_flight(pattern: Redelivering, link: Redis, offset: Offset = 0, limit: Limit = 50) -> FlightPage:
        return tables.flights(link, settings, pattern, offset, limit)


def _done(count: int, what: str) -> Done:
    return Done(done=count, said=f"{count:,} {what}" if count else "nothing was there any more")
