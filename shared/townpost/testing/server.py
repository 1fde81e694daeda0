"""The embedded server, as a test sees it."""

import contextlib
from collections.abc import Iterator

from townpost.consuming.app import App
from townpost.errors import SettingError
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings
from townpost.testing import listings
from townpost.testing.delivering import run_to_the_end
from townpost.testing.listings import DeadLetter, Scheduled
from townpost.testing.messages import Given, as_message
from townpost.testing.remaining import clients
from townpost.testing.running import run_until_idle

__all__ = ["TownpostServer"]

_TIMEOUT = 10.0


class TownpostServer:
    """What the fixture `townpost_server` gives."""

    def __init__(self, url: str) -> None:
        self.url = url
        """What REDIS_URL is during the test."""

    def clear(self) -> None:
        """Empty it, and end the waits of consumers that a test has left behind."""
        with self._connected() as connection:
            for client in clients(connection):
                if b"b" in client[b"flags"]:
                    connection.call("CLIENT", "KILL", "ID", client[b"id"])
            connection.call("FLUSHALL")

    def send(
        self,
        queue: str,
        *given: Given,
        pattern: str = "reliable",
        type: str | None = None,  # noqa: A002 - the message's field
        delay: float | None = None,
    ) -> list[Message]:
        """Send messages, models or mappings, as a `Publisher` does; the messages that were sent.

        Args:
            queue: the name of the queue, stream or channel.
            given: see `deliver`.
            pattern: one of the four.
            type: of the messages.
            delay: seconds (reliable).
        """
        if pattern not in PATTERNS:
            raise SettingError(f"pattern={pattern!r} is none: choose from {', '.join(PATTERNS)}")
        messages = [as_message(one, type) for one in given]
        name = {PATTERNS[pattern].setting.lower(): queue}
        settings = Settings.read(pattern=pattern, redis_url=self.url, **name)
        with Publisher(settings=settings, report=False) as publisher:
            publisher.send(messages, delay=delay)
        return messages

    async def run(self, app: App, *, within: float = 0.0, timeout: float = _TIMEOUT) -> None:  # noqa: ASYNC109 - as below
        """`run_until_idle` in the event loop of the test."""
        await run_until_idle(app, self.url, within=within, timeout=timeout)

    def run_until_idle(self, app: App, *, within: float = 0.0, timeout: float = _TIMEOUT) -> None:
        """Run an app here, whatever its settings say, until no message waits, is in flight, or falls due soon.

        The lifespan is entered and left. A plain handler that does not return is waited for, as nothing can end it.

        Args:
            app: with its handlers.
            within: seconds; a retry or delayed message that falls due later is left where it is.
            timeout: seconds.

        Raises:
            TimeoutError: something is left; the text says what.
            RuntimeError: the app ended by itself, or an event loop runs in this thread.
        """
        running = run_until_idle(app, self.url, within=within, timeout=timeout)
        run_to_the_end(running, instead="await townpost_server.run(app)")

    def sent(self, queue: str, pattern: str = "reliable") -> list[Message]:
        """What waits in a queue, urgent messages first; or all entries of a stream, handled or not."""
        with self._connected() as connection:
            return listings.sent(connection, queue, pattern)

    def dead(self, queue: str) -> list[DeadLetter]:
        """The dead letters of a reliable queue or a stream, oldest first."""
        with self._connected() as connection:
            return listings.dead(connection, queue)

    def scheduled(self, queue: str) -> list[Scheduled]:
        """Delayed messages and retries of a reliable queue, soonest first."""
        with self._connected() as connection:
            return listings.scheduled(connection, queue)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        with contextlib.closing(Connection(self.url, name="townpost-testing")) as connection:
            connection.connect()
            yield connection
