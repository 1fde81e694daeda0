"""Subscribers in threads of the test's own process, with a handler of the test's, and what each of them did."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.server import Server
from townpost.consuming.consumer import Consumer
from townpost.consuming.handlers import _Each
from townpost.message import Message
from townpost.settings import Settings

__all__ = ["Handled", "Workers", "working"]


@dataclass(frozen=True, slots=True)
class Handled:
    """One call of the handler; times of the monotonic clock."""

    worker: int
    message: Message
    began: float
    ended: float


@dataclass(slots=True)
class Workers:
    """What they did so far, in the order in which the handlers ended."""

    consumers: Sequence[Consumer] = ()
    handled: list[Handled] = field(default_factory=list)
    begun: list[tuple[int, str]] = field(default_factory=list)

    def wait(self, count: int, seconds: float = 60) -> list[Handled]:
        """All that was handled, once it is so much."""
        until(lambda: len(self.handled) >= count, seconds)
        return list(self.handled)

    @property
    def texts(self) -> list[str]:
        return [one.message.message for one in self.handled]


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


@contextmanager
def working(
    server: Server, count: int, work: Callable[[Message], object], *, pattern: str = "reliable", **settings: object
) -> Iterator[Workers]:
    """So many subscribers, each with a thread and connections of its own; stopped at the end."""
    stop = threading.Event()
    workers = Workers()
    chosen = Settings.read(redis_url=server.url, pattern=pattern, **settings)

    def handler(worker: int) -> Callable[[Message], None]:
        def handle(message: Message) -> None:
            began = time.monotonic()
            workers.begun.append((worker, message.message))
            work(message)
            workers.handled.append(Handled(worker, message, began, time.monotonic()))

        return handle

    workers.consumers = [Consumer(pattern, chosen, _Each(handler(n)), stop) for n in range(count)]
    threads = [threading.Thread(target=one.run, daemon=True) for one in workers.consumers]
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
