"""Around each request: a span, and a line in the log with how long it took."""

import logging
import time

from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks import tracing

__all__ = ["Observed"]

_QUIET = ("/healthz",)


class Observed:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = logging.getLogger("townpost.api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        started = time.perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with tracing.span(method, SpanKind.SERVER, Headers(scope=scope).get("traceparent")) as span:
            try:
                await self._app(scope, receive, noted)
            finally:
                if span.is_recording():
                    route = getattr(scope.get("route"), "path_format", "an unknown path")
                    span.update_name(f"{method} {route}")
                    span.set_attributes({"http.request.method": method, "http.response.status_code": status})
                if path not in _QUIET:
                    took = (time.perf_counter() - started) * 1000
                    self._log.info("%s %s: %d in %.1f ms", method, path, status, took)
