"""A listener to a glob knows on which channel each message came."""

import time
from collections.abc import Iterator

import pytest
import redis
from messages import wire

from lab.server import Server
from townpost.counts import Counts
from townpost.patterns.pubsub import PubsubListener
from townpost.redis.connection import Connection
from townpost.settings import Settings


def _heard(listener: PubsubListener, count: int) -> list[tuple[str | None, str]]:
    """(channel, text) of so many deliveries."""
    found: list[tuple[str | None, str]] = []
    deadline = time.monotonic() + 5
    while len(found) < count:
        assert time.monotonic() < deadline, found
        found += [(d.channel, d.message.message if d.message else "?") for d in listener.take(1000)]
    return found


@pytest.fixture
def listener(request: pytest.FixtureRequest, server: Server) -> Iterator[PubsubListener]:
    settings = Settings.read(redis_url=server.url, channel=request.param)
    listener = PubsubListener(settings, Connection(settings.url), Counts())
    listener.open()
    yield listener
    listener.close()


@pytest.mark.parametrize("listener", ["tasks.*"], indirect=True)
def test_each_delivery_of_a_glob_knows_its_channel(listener: PubsubListener, client: redis.Redis) -> None:
    client.publish("tasks.created", wire(message="a"))
    client.publish("tasks.deleted", wire(message="b"))
    client.publish("tasks.deleted", "not a message")

    assert _heard(listener, 3) == [("tasks.created", "a"), ("tasks.deleted", "b"), ("tasks.deleted", "?")]


@pytest.mark.parametrize("listener", ["tasks.created"], indirect=True)
def test_where_there_is_one_channel_nobody_needs_its_name(listener: PubsubListener, client: redis.Redis) -> None:
    client.publish("tasks.created", wire(message="a"))

    assert _heard(listener, 1) == [(None, "a")]
