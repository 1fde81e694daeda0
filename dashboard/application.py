"""The web application: what is listed at the top of dashboard/schemas/__init__.py, each a few lines."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware

from townpost import (
    RefusedError,
    SettingError,
    TownpostError,
    UnavailableError,
    UnreadableError,
    UnsendableError,
    endpoint,
    printable,
)

from . import metrics
from .bursts import Bursts, BusyError
from .guard import COOKIE, Guard, Keys
from .hub import Hub, event
from .poller import Poller
from .queue_routes import queue_routes
from .schemas.live import History, Problem, Seen, SeenWhole, Session, Snapshot
from .schemas.requests import MAX_BURST, Login, Publish, Published
from .settings import DashboardSettings

__all__ = ["application"]

_STATIC = Path(__file__).parent / "static"
_VERSION = "0.2.0"
_LONGEST = 16 * 1024 * 1024
_WRONG_TOKEN_SECONDS = 0.3
_STALLED_SECONDS = 15.0
_STATUS: tuple[tuple[type[TownpostError], int], ...] = (
    (UnavailableError, 503),
    (BusyError, 429),
    (RefusedError, 409),
    (SettingError, 400),
    (UnsendableError, 400),
    (UnreadableError, 400),
)


def application(settings: DashboardSettings, poller: Poller, hub: Hub, bursts: Bursts) -> FastAPI:
    """All routes behind the guard. It starts no task of its own."""
    keys = Keys(settings.dashboard_token)
    app = FastAPI(
        title="Townpost dashboard",
        version=_VERSION,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        max_body_size=_LONGEST,
        responses={status: {"model": Problem} for status in (400, 401, 403, 404, 409, 422, 503)},
    )
    _problems(app)
    _session_routes(app, settings, keys)
    _live_routes(app, settings, poller, hub, keys)
    _publish_routes(app, bursts)
    queue_routes(app, settings, poller)
    app.mount("/static", GZipMiddleware(StaticFiles(directory=_STATIC)), name="static")
    app.add_middleware(Guard, settings=settings, keys=keys)
    return app


def session(settings: DashboardSettings, *, keys: Keys, admitted: bool) -> Session:
    return Session(
        version=_VERSION,
        write=settings.dashboard_write,
        token=keys.needed,
        authenticated=admitted,
        redis=endpoint(settings.url),
        max_burst=MAX_BURST,
        max_message_bytes=settings.max_message_bytes,
    )


def _problems(app: FastAPI) -> None:
    def answer(status: int, text: str) -> JSONResponse:
        return JSONResponse({"problem": text}, status)

    @app.exception_handler(StarletteHTTPException)
    async def http(_: Request, error: StarletteHTTPException) -> Response:
        return answer(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        problems = [f"{'.'.join(map(str, p['loc'][1:]))}: {p['msg']}".lstrip(": ") for p in error.errors()]
        return answer(422, printable("; ".join(problems)))

    @app.exception_handler(TownpostError)
    async def ours(_: Request, error: TownpostError) -> Response:
        return answer(next((status for kind, status in _STATUS if isinstance(error, kind)), 500), printable(str(error)))

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> Response:
        logging.getLogger("townpost.dashboard").error("a request failed; this is a bug in Townpost", exc_info=error)
        return answer(500, "this is a bug in Townpost: see the dashboard's log")


def _session_routes(app: FastAPI, settings: DashboardSettings, keys: Keys) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @app.get("/api/session")
    async def what_this_is(request: Request) -> Session:
        return session(settings, keys=keys, admitted=keys.admits(request.headers))

    @app.post("/api/login")
    async def login(given: Login, response: Response) -> Session:
        if not keys.fits(given.token):
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
            raise HTTPException(401, "this is not the token" if keys.needed else "there is no token to give")
        response.set_cookie(COOKIE, keys.cookie, httponly=True, samesite="strict", path="/")
        return session(settings, keys=keys, admitted=True)

    @app.post("/api/logout")
    async def logout(response: Response) -> Session:
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
        return session(settings, keys=keys, admitted=not keys.needed)


def _live_routes(app: FastAPI, settings: DashboardSettings, poller: Poller, hub: Hub, keys: Keys) -> None:
    @app.get("/api/snapshot")
    async def snapshot() -> Snapshot:
        poller.look()
        return poller.snapshot

    @app.get("/api/history")
    async def history() -> History:
        return poller.history()

    @app.get("/api/messages")
    async def messages(
        pattern: str | None = None,
        sender: str | None = None,
        text: str | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 500,
    ) -> list[Seen]:
        poller.look()
        found = [
            line.seen
            for line in poller.feed.lines()
            if (pattern is None or line.seen.pattern == pattern)
            and (sender is None or sender.casefold() in line.seen.sender.casefold())
            and (text is None or text.casefold() in line.payload.casefold())
        ]
        return found[-limit:]

    @app.get("/api/messages/{number}")
    async def message(number: int) -> SeenWhole:
        found = poller.feed.one(number)
        if found is None:
            raise HTTPException(404, "this message is no longer remembered: the last 500 are")
        return found

    @app.get("/api/events", response_class=StreamingResponse)
    async def events() -> StreamingResponse:
        if hub.full:
            raise HTTPException(503, "a hundred pages are open: close one")
        poller.look()
        first = event("session", session(settings, keys=keys, admitted=True).model_dump_json().encode())
        stream: AsyncIterator[bytes] = hub.events(first)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    @app.get("/metrics", response_class=PlainTextResponse)
    async def exposition() -> Response:
        poller.look()
        return Response(metrics.exposition(poller.snapshot), media_type=metrics.CONTENT_TYPE)

    @app.get("/healthz")
    async def health() -> JSONResponse:
        well = poller.idle_seconds() < _STALLED_SECONDS
        redis = poller.snapshot.redis
        return JSONResponse({"ok": well, "redis": redis.up, "problem": redis.problem}, 200 if well else 503)


def _publish_routes(app: FastAPI, bursts: Bursts) -> None:
    @app.post("/api/publish")
    def publish(asked: Publish) -> Published:
        return bursts.start(asked)

    @app.get("/api/bursts/{number}")
    async def burst(number: int) -> Published:
        found = bursts.one(number)
        if found is None:
            raise HTTPException(404, "there is no such burst, or it was too long ago")
        return found
