"""Runs an app until it has nothing left to do."""

import asyncio
import contextlib
import time

from townpost.consuming.app import App
from townpost.redis.connection import Connection
from townpost.testing.remaining import Place, look

__all__ = ["run_until_idle"]

_LOOK_SECONDS = 0.005
_STOP_SECONDS = 0.5


async def run_until_idle(app: App, url: str, *, within: float, timeout: float) -> None:  # noqa: ASYNC109 - it says why
    """Return once nothing waits, is in flight, or falls due within so many seconds.

    Raises:
        TimeoutError: that did not come; the text says what is left.
        RuntimeError: the app ended by itself.
    """
    deadline = time.monotonic() + timeout
    with app.overridden(redis_url=url, stop_seconds=_STOP_SECONDS), contextlib.closing(Connection(url)) as connection:
        places = [Place(*one.place) for one in app.subscriptions()]
        await asyncio.to_thread(connection.connect)
        async with app.running() as running:
            while True:
                # If nothing began and nothing ended around the look, no handler has added anything since
                progress = running.progress
                left = await asyncio.to_thread(look, connection, places, within)
                if not left and not running.holds and running.progress == progress:
                    return
                if running.stop.is_set():
                    raise RuntimeError("the app ended by itself: its log says why")
                if time.monotonic() > deadline:
                    rest = "; ".join(f"{place}: {remaining}" for place, remaining in left) or "handlers are at work"
                    raise TimeoutError(f"the app is not idle after {timeout:g} s: {rest}")
                await asyncio.sleep(_LOOK_SECONDS)
