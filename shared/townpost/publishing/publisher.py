"""Sends a sequence of messages on one or more patterns in one round trip.

Several patterns share one MULTI, so that no message is half sent. When a reply is lost, the outcome is unknown. With a
``timeout`` the messages are sent again, under the same ids and numbers; without one the caller decides.
"""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

from townpost.counts import Counts
from townpost.errors import UnavailableError
from townpost.publishing.core import Core, checked_timeout
from townpost.publishing.destinations import checked_pattern, narrowed
from townpost.publishing.exchange import Exchange
from townpost.publishing.models import Sendable
from townpost.publishing.rounds import Call, Rounds, connect
from townpost.receipts import Receipt
from townpost.redis.backoff import Backoff
from townpost.redis.connection import Command, Connection, Reply
from townpost.settings import Settings

__all__ = ["Publisher"]


class _Parts(NamedTuple):
    """The part that depends on the settings."""

    core: Core
    rounds: Rounds


class Publisher:
    """Use it in a `with`, or call `open` and `close`. Any number of threads may share it, and its round trips."""

    def __init__(self, pattern: str | None = None, *, settings: Settings | None = None, report: bool = True) -> None:
        """Nothing is connected, and the environment is not read, before `open` or the first `send`.

        Args:
            pattern: as PATTERN; None for what the settings say.
            settings: None reads the environment when it is first used.
            report: whether it tells Redis what it sends, for the dashboard, in a thread that the first send starts.

        Raises:
            SettingError: the pattern is none. What else cannot be used is raised by `open` or `send`.
        """
        self._pattern = checked_pattern(pattern)
        self._report = report
        self._reading = threading.Lock()
        self._parts = None if settings is None else self._made(settings)
        self._order = threading.Lock()
        """Held while messages are numbered, so that they are sent in the order of their numbers."""

    @property
    def counts(self) -> Mapping[str, Counts]:
        """What Redis has acknowledged, by pattern."""
        return (self._parts or self._read()).core.counts

    def _read(self) -> _Parts:
        with self._reading:
            if self._parts is None:
                self._parts = self._made(Settings.read(pattern=self._pattern))
            return self._parts

    def _made(self, settings: Settings) -> _Parts:
        core = Core(narrowed(settings, self._pattern), self, report=self._report)
        connection = Connection(settings.url, name="townpost-publisher")
        open_ = partial(connect, connection, transactions=core.destinations.several)
        return _Parts(core, Rounds(connection, open_))

    def open(self) -> None:
        """Connect. `send` does so by itself after a lost connection."""
        (self._parts or self._read()).rounds.open()

    def send(
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
        timeout: float | None = None,
    ) -> list[Receipt]:
        """Send every message on every pattern. Returns when Redis has acknowledged all of them.

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
            timeout: seconds for which they are sent again, under the same ids, while Redis is unavailable; the last
                attempt may take some seconds longer. None tries once.

        Raises:
            SettingError: a pattern this publisher does not have, a delay for one that has none, an argument that cannot
                be used; nothing was sent.
            UnsendableError: a message is longer than MAX_MESSAGE_BYTES, or not UTF-8; nothing was sent.
            UnavailableError: the outcome is unknown; sent again, its `messages` keep their ids and numbers.
            HalfSentError: some patterns took them and others refused; it says which.
            RefusedError: nothing was sent.
        """
        until = time.monotonic() + (0.0 if timeout is None else checked_timeout(timeout))
        parts = self._parts or self._read()
        destination, messages, due = parts.core.request(messages, on, to, delay, at, (type, key, priority, id))
        if not messages:
            return []
        with self._order:
            exchange = Exchange(destination, messages, parts.core.write(destination, messages), due)
            call = parts.rounds.queue(exchange.commands)
        try:
            return _receipts(parts, exchange, call, until)
        except UnavailableError as error:
            error.messages = messages
            raise

    def close(self) -> None:
        if self._parts is None:
            return
        self._parts.rounds.close()
        if self._parts.core.heartbeat is not None:
            self._parts.core.heartbeat.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _receipts(parts: _Parts, exchange: Exchange, call: Call, until: float) -> list[Receipt]:
    backoff: Backoff | None = None
    while True:
        try:
            replies = parts.rounds.result(call)
            upkeep = _upkeep(parts.rounds, exchange.upkeep_commands) if exchange.upkeep_commands else []
            return parts.core.receipts(exchange, replies, upkeep)
        except UnavailableError:
            backoff = backoff or Backoff()
            left = until - time.monotonic()
            if left <= 0:
                raise
            time.sleep(min(backoff.pause(), left))
        if call.replies is not None:  # Redis is not ready; after a failover another server may be
            parts.rounds.close()
        call = parts.rounds.queue(exchange.commands)


def _upkeep(rounds: Rounds, commands: Sequence[Command]) -> list[Reply]:
    """The replies, in a round trip of its own; none if Redis did not answer."""
    try:
        return rounds.result(rounds.queue(commands))
    except UnavailableError:
        return []
