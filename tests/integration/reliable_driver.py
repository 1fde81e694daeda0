"""What the tests of the reliable queue share; each module of them names the fixtures it uses."""

from collections.abc import Iterator
from typing import TypeAlias

import driver
import pytest
import redis

from lab.server import Server
from townpost.patterns import PATTERNS
from townpost.patterns.dead_letters import DeadLetter, DeadLetters
from townpost.patterns.reliable.listener import ReliableListener
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

Q = "reliable_queue"


class Consumer(driver.Consumer[ReliableListener]):
    pattern = "reliable"
    kind = ReliableListener


MakeConsumer: TypeAlias = driver.MakeConsumer[Consumer]


@pytest.fixture
def consumer(server: Server) -> Iterator[MakeConsumer]:
    with driver.making(Consumer, server) as make:
        yield make


@pytest.fixture
def publisher(server: Server) -> Iterator[Publisher]:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="reliable")) as publisher:
        yield publisher


def leftovers(client: redis.Redis) -> list[bytes]:
    """What stays; the forwarder's keys live for seconds."""
    found = [key for key in client.keys("*") if isinstance(key, bytes)]
    return [key for key in found if not key.startswith(b"townpost:") and not key.endswith((b":forwarder", b":bell"))]


def dead_letters(one: Consumer) -> list[DeadLetter]:
    return DeadLetters(one.listener._connection, PATTERNS["reliable"], Q).all()
