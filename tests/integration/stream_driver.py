"""What the tests of the stream share; each module of them names the fixtures it uses."""

import json
from collections.abc import Iterator
from typing import TypeAlias

import driver
import pytest
import redis

from lab.server import Server
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Batch
from townpost.patterns.dead_letters import DeadLetter, DeadLetters
from townpost.patterns.stream.listener import StreamListener
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings

S = "message_stream"
GROUP = "townpost"


class Consumer(driver.Consumer[StreamListener]):
    pattern = "stream"
    kind = StreamListener

    def flush(self, batch: Batch) -> None:
        self.listener.settle(batch)
        while self.listener._pipeline.unconfirmed:
            self.listener._exchange([])

    @property
    def name(self) -> str:
        return self.listener._consumer


MakeConsumer: TypeAlias = driver.MakeConsumer[Consumer]


@pytest.fixture
def unhurried(server: Server) -> Iterator[MakeConsumer]:
    """Makes consumers that wait and look as long as real ones."""
    with driver.making(Consumer, server) as make:
        yield make


@pytest.fixture
def consumer(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeConsumer]:
    """Makes consumers that look for what others left every tenth of a second: the tests need not wait."""
    monkeypatch.setattr("townpost.patterns.stream.looking._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("townpost.patterns.stream.listener._BLOCK_SECONDS", 0.1)
    with driver.making(Consumer, server) as make:
        yield make


@pytest.fixture
def publisher(server: Server) -> Iterator[Publisher]:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="stream")) as publisher:
        yield publisher


@pytest.fixture
def dead(server: Server) -> Iterator[DeadLetters]:
    connection = Connection(server.url)
    connection.connect()
    yield DeadLetters(connection, PATTERNS["stream"], S)
    connection.close()


def pending(client: redis.Redis, group: str = GROUP) -> int:
    return int(client.xpending(S, group)["pending"])


def entries(client: redis.Redis) -> list[tuple[str, dict[bytes | str, bytes | str]]]:
    found = []
    for entry_id, fields in client.xrange(S) or []:
        assert isinstance(entry_id, bytes)
        found.append((entry_id.decode(), dict(fields or {})))
    return found


def ids(client: redis.Redis) -> list[str]:
    return [entry_id for entry_id, _ in entries(client)]


def held(client: redis.Redis) -> tuple[int, int]:
    """Of the one pending message: ms since it was handed out or renewed, how often it was handed out."""
    (fields,) = client.xpending_range(S, GROUP, "-", "+", 10)
    return int(fields["time_since_delivered"]), int(fields["times_delivered"])


def text_of(dead_letter: DeadLetter) -> str:
    return str(json.loads(dead_letter.payload)["message"])
