"""A body that is too long is refused as soon as that is known, and never held in memory as a whole.

Somebody who is cut off while writing does not see the answer; so what is only somewhat too long is let in and
thrown away, and the connection is closed on the rest.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.api.problems import response

__all__ = ["Limited"]

_PATIENCE_BYTES = 16 * 1024 * 1024
_CLOSE = {"Connection": "close"}


class Limited:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._problem = f"the body is longer than {most_bytes:,} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if announced.isdecimal() and int(announced) > self._most_bytes:
            close = _CLOSE if int(announced) > _PATIENCE_BYTES else None
            await response(413, self._problem, close)(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size <= self._most_bytes:
                return message
            while message.get("more_body") and size < _PATIENCE_BYTES:  # in chunks: its length was not announced
                message = await receive()
                size += len(message.get("body", b""))
            raise HTTPException(413, self._problem, _CLOSE if message.get("more_body") else None)

        await self._app(scope, counted, send)
