"""When an app runs: once at a time, and until its handlers have ended."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest
import redis
from apps import put, settings

from lab.server import Server
from townpost import App, Message, SettingError
from townpost.consuming.acknowledging import Acknowledging


class Lifespan:
    """Begins when it may; notes in order what happens."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.entering = asyncio.Event()
        self.may_begin = asyncio.Event()

    @contextlib.asynccontextmanager
    async def __call__(self, _app: App) -> AsyncIterator[None]:
        self.entering.set()
        await self.may_begin.wait()
        try:
            yield
        finally:
            self.said.append("lifespan ended")


def test_an_app_that_begins_is_not_begun_again(server: Server) -> None:
    async def main() -> None:
        # Given an app whose lifespan has yet to begin
        lifespan = Lifespan()
        app = App(settings=settings(server.url), lifespan=lifespan)
        app.handler("orders")(_ignore)

        async def run() -> None:
            async with app.running():
                pass

        first = asyncio.create_task(run())
        await lifespan.entering.wait()

        # Then it cannot be entered
        with pytest.raises(SettingError, match="the app runs already"):
            await run()

        # And once it has ended, it can
        lifespan.may_begin.set()
        await first
        await run()
        assert lifespan.said == ["lifespan ended"] * 2

    asyncio.run(main())


def test_an_app_that_could_not_begin_can_be_tried_again() -> None:
    async def main() -> None:
        app = App(settings=settings("redis://127.0.0.1:1"))
        for _ in range(2):
            with pytest.raises(SettingError, match="the app has no handlers"):
                async with app.running():
                    pass

    asyncio.run(main())


def test_a_lifespan_outlives_the_handlers_though_the_end_is_cancelled(server: Server, client: redis.Redis) -> None:
    async def main() -> None:
        # Given an app with a message at work
        lifespan, begun, may_end = Lifespan(), asyncio.Event(), asyncio.Event()
        lifespan.may_begin.set()
        app = App(settings=settings(server.url), lifespan=lifespan)

        @app.handler("orders")
        async def work(_: Message) -> None:
            begun.set()
            await may_end.wait()
            lifespan.said.append("handled")

        may_leave, leaving = asyncio.Event(), asyncio.Event()

        async def run() -> None:
            async with app.running():
                await may_leave.wait()
                leaving.set()

        put(client, "reliable", "orders", Message.create("x"))
        task = asyncio.create_task(run())
        await begun.wait()

        # When the task that runs it is cancelled, twice, while it waits for that message
        may_leave.set()
        await leaving.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert lifespan.said == []
        may_end.set()

        # Then the lifespan ends last, and the cancellation is not lost
        with pytest.raises(asyncio.CancelledError):
            await task
        assert lifespan.said == ["handled", "lifespan ended"]

    asyncio.run(main())


def test_an_app_ends_if_nothing_can_be_acknowledged_any_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    may_break = threading.Event()

    def breaks(_: Acknowledging) -> None:
        may_break.wait(10)
        raise RuntimeError

    monkeypatch.setattr(Acknowledging, "_acknowledge", breaks)

    async def main() -> None:
        # Given an app that is told when it is to end
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        app = App(settings=settings(server.url))
        app.handler("orders", concurrency=2)(_ignore)

        async with app.running() as running:
            running.on_end(lambda: loop.call_soon_threadsafe(ended.set))

            # When the thread that acknowledges breaks
            may_break.set()

            # Then it ends, as failed
            await asyncio.wait_for(ended.wait(), 5)
        assert app.failed

    asyncio.run(main())


def _ignore(_message: Message) -> None: ...
