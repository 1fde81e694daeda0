"""An app that runs in a thread of the test's process, and what is asked of Redis about it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import redis

from townpost import App, Settings, keys
from townpost.message import Message, read

__all__ = ["RUNNERS", "dead", "handler", "leftovers", "put", "running", "settings", "until"]

T = TypeVar("T")

RUNNERS = ("inline", "threads", "loop")


def settings(url: str, **others: object) -> Settings:
    return Settings.read(redis_url=url, **{"backoff_seconds": 0.01, **others})


def handler(app: App, runner: str, name: str, body: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - of several types, validated where they go
    """Register this body, called by that runner."""
    if runner == "loop":

        async def called(message: Message) -> None:
            if asyncio.iscoroutine(found := body(message)):
                await found

        app.handler(name, **options)(called)
    else:

        def call(message: Message) -> None:
            body(message)

        app.handler(name, **{"concurrency": 1 if runner == "inline" else 20, **options})(call)


@contextmanager
def running(app: App) -> Iterator[App]:
    """Until the end of the block; an error of the app is raised there."""
    ready, stop = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    async def main() -> None:
        async with app.running():
            ready.set()
            await asyncio.to_thread(stop.wait)

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - raised by the test
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield app
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def until(look: Callable[[], T], seconds: float = 15) -> T:
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"it did not come to that in {seconds:g} s"
        time.sleep(0.005)
    return seen


def put(client: redis.Redis, pattern: str, name: str, *messages: Message | bytes) -> None:
    """Messages, or what is none."""
    for message in messages:
        payload = message.encode() if isinstance(message, Message) else message
        if pattern == "stream":
            client.xadd(name, {"message": payload})
        elif pattern == "pubsub":
            client.publish(name, payload)
        else:
            client.rpush(name, payload)


def dead(client: redis.Redis, name: str) -> list[tuple[str, str, str]]:
    """Text, reason and error of each dead letter."""
    found: Any = client.xrange(keys.of(name).dead)
    return [
        (read(fields[b"payload"]).message, fields[b"reason"].decode(), fields[b"error"].decode()) for _, fields in found
    ]


def leftovers(client: redis.Redis, pattern: str, name: str) -> list[str]:
    """Keys beside those of reports, and what a stream has pending."""
    if pattern == "stream":
        pending: Any = client.xpending(name, "townpost")
        return [str(pending)] if pending["pending"] else []
    found = [key.decode() for key in client.keys("*") if isinstance(key, bytes)]
    return [key for key in found if not key.startswith("townpost:") and not key.endswith((":forwarder", ":bell"))]
