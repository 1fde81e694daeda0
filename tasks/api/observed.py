"""A line in the log for each request, with how long it took."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Observed"]

_QUIET = ("/healthz",)


class Observed:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = logging.getLogger("townpost.api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            took = (time.perf_counter() - started) * 1000
            self._log.info("%s %s: %d in %.1f ms", scope["method"], scope["path"], status, took)
