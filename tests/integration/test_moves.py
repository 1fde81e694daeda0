"""How far a reader has to follow one message: calls in the library, and how many of them lead into another file."""

import sys
import threading
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
import redis
from workers import until

import townpost
from lab.server import Server
from townpost.consuming.consumer import Consumer
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

LIBRARY = str(Path(townpost.__file__).parent)
WARM = 6
"""Messages before the one that is followed: connections are made, scripts loaded, a forwarder elected."""


class Trail:
    """Counts while `on`; see sys.setprofile."""

    def __init__(self) -> None:
        self.on = False
        self.calls = 0
        self.moves = 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and self.on and name.startswith(LIBRARY):
            self.calls += 1
            self.moves += frame.f_back is not None and frame.f_back.f_code.co_filename != name


class Handler:
    """From when a message is handled until the next one is there: it is acknowledged meanwhile."""

    whole = False
    logs_failures = False

    def __init__(self, trail: Trail) -> None:
        self.handled = 0
        self._trail = trail

    def has(self, count: int) -> bool:
        """Whether it was given so many messages."""
        return self.handled >= count

    def __call__(self, _batch: Batch, messages: Iterable[tuple[int, Message]], _already: int, _failed: object) -> None:
        for _ in messages:
            self.handled += 1
            self._trail.on = self.handled == WARM


def _waits(client: redis.Redis, pattern: str) -> bool:
    """Whether the consumer has said all, and hears the next message at once."""
    if pattern == "pubsub":
        return True
    return any(one["name"] == f"townpost-{pattern}" and "b" in one["flags"] for one in client.client_list())


@pytest.mark.parametrize(
    ("pattern", "calls", "moves"), [("pubsub", 40, 30), ("queue", 40, 30), ("reliable", 100, 30), ("stream", 100, 30)]
)
def test_receiving_one_message_takes_few_calls(
    server: Server, client: redis.Redis, pattern: str, calls: int, moves: int
) -> None:
    # Given a consumer that waits
    settings = Settings(redis_url=server.url, pattern=pattern)
    trail, stop = Trail(), threading.Event()
    handler = Handler(trail)
    consumer = Consumer(pattern, settings, handler, stop)

    def run() -> None:
        sys.setprofile(trail)
        consumer.run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with Publisher(pattern, settings=settings, report=False) as publisher:
            until(lambda: consumer._listening.reconnector.worked)

            # When message after message comes
            for number in range(WARM + 1):
                until(lambda: _waits(client, pattern))
                publisher.send(Message.create(str(number)))
                until(partial(handler.has, number + 1))
    finally:
        stop.set()
        with closing(redis.Redis(port=server.port)) as control:
            for one in control.client_list():
                if "b" in one["flags"]:
                    control.execute_command("CLIENT", "UNBLOCK", one["id"])
        thread.join(10)

    # Then one of them, from Redis to the acknowledgement, is followed in few steps
    assert 0 < trail.calls <= calls
    assert 0 < trail.moves <= moves


@pytest.mark.parametrize("pattern", ["pubsub", "queue", "reliable", "stream"])
def test_publishing_one_message_takes_few_calls(server: Server, pattern: str) -> None:
    # Given a publisher that has sent some
    trail = Trail()
    with Publisher(pattern, settings=Settings(redis_url=server.url, pattern=pattern), report=False) as publisher:
        for number in range(WARM):
            publisher.send(Message.create(str(number)))
        message = Message.create("the last")

        # When one more is sent
        before = sys.getprofile()
        sys.setprofile(trail)
        trail.on = True
        try:
            publisher.send(message)
        finally:
            trail.on = False
            sys.setprofile(before)

    # Then
    assert 0 < trail.calls <= 40
