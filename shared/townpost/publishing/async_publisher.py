"""Sends messages from the tasks of one event loop: sends of the same turn of the loop share one round trip.

Patterns, numbers and repetitions are as in `Publisher`. It never blocks the loop: a thread makes the connection, then
its socket is used without blocking (`townpost.redis.wire`), also with TLS and unix sockets.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from townpost.counts import Counts
from townpost.errors import SettingError
from townpost.message import Message
from townpost.publishing.async_rounds import AsyncRounds
from townpost.publishing.core import Core, checked_timeout
from townpost.publishing.destinations import Destination, checked_pattern, narrowed
from townpost.publishing.models import Sendable
from townpost.receipts import Receipt
from townpost.settings import Settings

__all__ = ["AsyncPublisher"]

_NONE = (None,) * 8


class AsyncPublisher:
    """Use it in an `async with`, or call `open` and `close`; any number of tasks of one event loop may share one."""

    def __init__(self, pattern: str | None = None, *, settings: Settings | None = None, report: bool = True) -> None:
        """Nothing is connected, and the environment is not read, before `open` or the first `send`; no loop has to run.

        Args:
            pattern: as PATTERN; None for what the settings say.
            settings: None reads the environment when it is first used.
            report: whether it tells Redis what it sends, for the dashboard, in a thread that the first send starts.

        Raises:
            SettingError: the pattern is none. What else cannot be used is raised by `open` or `send`.
        """
        self._pattern = checked_pattern(pattern)
        self._report = report
        self._made = None if settings is None else Core(narrowed(settings, self._pattern), self, report=report)
        self._default: Destination | None = None
        self._rounds: AsyncRounds | None = None

    @property
    def counts(self) -> Mapping[str, Counts]:
        """What Redis has acknowledged, by pattern."""
        return self._core.counts

    @property
    def _core(self) -> Core:
        if self._made is None:
            self._made = Core(Settings.read(pattern=self._pattern), self, report=self._report)
        return self._made

    def _found(self) -> Destination:
        self._default = self._core.destinations.find(None, None)
        return self._default

    async def open(self) -> None:
        """Connect. `send` does so by itself, also after a lost connection."""
        await self._here(asyncio.get_running_loop()).open()

    async def send(
        self,
        messages: Sendable,
        *,
        on: Collection[str] | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        to: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's name
        key: str | None = None,
        priority: int | None = None,
        id: UUID | str | None = None,  # noqa: A002 - the field's name
        timeout: float | None = 30.0,  # noqa: ASYNC109 - it is for all attempts, and one timer serves all tasks
    ) -> list[Receipt]:
        """Send every message on every pattern. Returns when Redis has acknowledged all of them.

        Cancelling a task affects neither the others nor the connection; what it sent may have arrived.

        Args:
            messages: one or several, in the order they are to arrive. Those that were made without a number get one,
                and an epoch. A pydantic model becomes a message with the model as its data.
            on: the names of the patterns to use; None for all of this publisher's.
            delay: seconds, by Redis's clock, before they are ready; for patterns that schedule.
            at: the same, as a moment (with a time zone).
            to: the channel, queue or stream; None for the one that the settings name.
            type: of models: what kind of event they are; None for the name of the model's class.
            key: of models: messages of the same key must stay in order.
            priority: of models: 0 to 9, 9 is the most urgent.
            id: of one model: a business key of yours; None makes a new one.
            timeout: seconds for which they are sent again, under the same ids, while Redis is unavailable. None tries
                once.

        Raises:
            SettingError: a pattern this publisher does not have, a delay for one that has none, an argument that cannot
                be used, or another event loop than the first; nothing was sent.
            UnsendableError: a message is longer than MAX_MESSAGE_BYTES, or not UTF-8; nothing was sent.
            UnavailableError: the outcome is unknown; sent again, its `messages` keep their ids and numbers.
            HalfSentError: some patterns took them and others refused; it says which.
            RefusedError: nothing was sent.
        """
        if messages.__class__ is Message and (on, to, delay, at, type, key, priority, id) == _NONE:
            destination, due = self._default or self._found(), None  # the usual case needs no look-up
            several: Sequence[Message] = (messages,)
        else:
            destination, several, due = self._core.request(messages, on, to, delay, at, (type, key, priority, id))
        deadline = None
        if timeout is not None:
            deadline = time.monotonic() + (timeout if timeout > 0 else checked_timeout(timeout))
        loop = asyncio.get_running_loop()
        rounds = self._rounds
        if rounds is None or rounds.loop is not loop:
            rounds = self._here(loop)
        if not several:
            return []
        future: asyncio.Future[list[Receipt]] = loop.create_future()
        rounds.queue(destination, several, due, future, deadline)
        return (await future).copy()  # sends that join share one list

    async def close(self) -> None:
        """Disconnect; a `send` that still waits raises UnavailableError."""
        if self._rounds is not None:
            self._rounds.close()
            self._rounds = None
        if self._made is not None and self._made.heartbeat is not None:
            await asyncio.to_thread(self._made.heartbeat.close)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _here(self, loop: asyncio.AbstractEventLoop) -> AsyncRounds:
        """The connection of this loop."""
        rounds = self._rounds
        if rounds is not None and rounds.loop is loop:
            return rounds
        if rounds is not None:
            if not rounds.loop.is_closed():
                raise SettingError("this AsyncPublisher is used by another event loop: make one for each loop")
            rounds.close()  # its loop has ended, with all tasks that waited
        self._rounds = rounds = AsyncRounds(loop, self._core)
        return rounds
