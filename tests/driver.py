"""Consumers without a loop: a test takes the batches of a listener and answers them itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from lab.server import Server
from townpost.counts import Counts
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.patterns.reliable.listener import ReliableListener
from townpost.patterns.stream.listener import StreamListener
from townpost.redis.connection import Connection
from townpost.settings import Settings

L = TypeVar("L", ReliableListener, StreamListener)


class Consumer(Generic[L]):
    """A listener that the test calls; a subclass names its pattern."""

    pattern: str
    kind: type[L]

    def __init__(self, url: str, **settings: object) -> None:
        # a pinned prefetch: nothing is asked for ahead, and the link is free between two calls
        given = {"lease_seconds": 0.3, "backoff_seconds": 0.01, "redis_url": url, "pattern": self.pattern}
        given = {**given, "prefetch": "1000", **settings}
        self.counts = Counts()
        chosen = Settings.read(**given)
        self.listener: L = self.kind(chosen, Connection(chosen.url), self.counts)
        self.listener.open()

    def take(self, limit: int = 1000, seconds: float = 5) -> Batch:
        """The next batch that is not empty; empty only if none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            batch = self.listener.take(limit)
            if len(batch) or time.monotonic() > deadline:
                return batch

    def handle(self, limit: int = 1000, seconds: float = 5) -> list[str]:
        """Take one batch, acknowledge it and have that sent."""
        batch = self.take(limit, seconds)
        texts = []
        for delivery in batch:
            texts.append(delivery.message.message if delivery.message else "?")
            delivery.ack()
        self.flush(batch)
        return texts

    def fail(self, error: Exception, seconds: float = 5) -> int:
        """Take one batch, fail all of it and have that sent; how many there were."""
        batch = self.take(seconds=seconds)
        for delivery in batch:
            delivery.fail(delivery.problem or error)
        self.flush(batch)
        return len(batch)

    def flush(self, batch: Batch) -> None:
        self.listener.settle(batch)
        self.listener._pipeline.exchange([])

    def drain(self, seconds: float = 1) -> list[str]:
        """Everything there is, until nothing comes for so long."""
        texts: list[str] = []
        while found := self.handle(seconds=seconds):
            texts += found
        return texts

    def die(self) -> None:
        """Nothing renews what a dead process held."""
        self.listener._renewer.close()
        if isinstance(self.listener, ReliableListener):
            self.listener._forwarder._stop.set()


C = TypeVar("C", bound=Consumer[Any])
C_co = TypeVar("C_co", bound=Consumer[Any], covariant=True)


class MakeConsumer(Protocol[C_co]):
    def __call__(self, url: str | None = None, **settings: object) -> C_co: ...


@contextmanager
def making(kind: type[C], server: Server) -> Iterator[MakeConsumer[C]]:
    """Makes consumers on this server, or where ``url`` says; all are closed at the end."""
    made: list[C] = []

    def make(url: str | None = None, **settings: object) -> C:
        made.append(kind(url or server.url, **settings))
        return made[-1]

    yield make
    for each in made:
        each.listener.close()


def messages(*texts: str, priority: int | None = None) -> list[Message]:
    return [Message.create(text, count=n, priority=priority) for n, text in enumerate(texts, 1)]
