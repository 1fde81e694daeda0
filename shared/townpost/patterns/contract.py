"""The interface of every pattern: a service uses it without knowing which pattern it has."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from townpost.counts import Counts
from townpost.errors import SettingError, UnreadableError
from townpost.message import MAX_MESSAGE_BYTES, Message, read, validate_json
from townpost.patterns.options import Options
from townpost.receipts import Receipt
from townpost.redis.connection import Command, Connection, Reply
from townpost.verdicts import Policy

__all__ = ["Batch", "Delivery", "Due", "Guarantees", "Listener", "Pattern", "Sender"]

_TEN_YEARS = 315_360_000
_LAST_YEAR = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """What a pattern promises, as data: the conformance suite and the README's table are generated from it."""

    durable: bool
    """A message sent while no listener runs is there when one starts."""
    redelivers: bool
    """A message whose handler failed or whose consumer died is delivered again: at least once."""
    fan_out: bool
    """Every listener gets every message; otherwise each message goes to one of them."""
    ordered: bool
    """One listener gets one sender's messages in the order they were sent, while nothing fails. Where several compete,
    messages that an overrunning batch returns change places.
    """
    replays: bool
    """A message that was handled can be read again."""
    groups: bool
    """Each consumer group gets every message; its members share them."""
    schedules: bool
    """The pattern accepts a priority and a delay."""
    remembers: bool = False
    """The pattern can store the ids of handled messages and skip a second copy (ONCE_SECONDS)."""

    @property
    def promise(self) -> str:
        """The guarantees in one sentence."""
        who = (
            "everyone who listens" if self.fan_out else "one listener of each group" if self.groups else "one listener"
        )
        if not self.durable:
            return f"Now or never: {who} right now hears it, and nobody else ever will."
        kept = "It is kept, to be read again, and waits" if self.replays else "It waits"
        end = "has handled it, even after a crash; it may come twice" if self.redelivers else "takes it; taken is taken"
        return f"{kept} until {who} {end}."


@dataclass(frozen=True, slots=True)
class Due:
    """When messages become ready: so many seconds from now by Redis's clock, or at a moment."""

    delay: float | None = None
    at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a delay or moment that cannot be meant.

        Raises:
            SettingError: a negative delay or one of over ten years, a moment without a time zone or after 9000.
        """
        if self.delay is not None and not 0 <= self.delay <= _TEN_YEARS:
            raise SettingError(f"a delay is between 0 and {_TEN_YEARS:,} seconds, not {self.delay:g}")
        if self.at is not None and (self.at.tzinfo is None or self.at.year > _LAST_YEAR):
            raise SettingError(f"a moment has a time zone and a year up to {_LAST_YEAR}, not {self.at.isoformat()}")


class Delivery:
    """One message for a handler, or the reason why it could not be read."""

    __slots__ = ("_batch", "deadline", "index", "message", "problem")

    def __init__(
        self, batch: "Batch", index: int, message: Message | None, problem: UnreadableError | None = None
    ) -> None:
        self._batch = batch
        self.index = index
        self.message = message
        self.problem = problem
        self.deadline: float | None = None
        """When the time limit of its handler ends, by the monotonic clock."""

    @property
    def pattern(self) -> str:
        return self._batch.pattern

    @property
    def raw(self) -> bytes:
        return self._batch.payloads[self.index]

    @property
    def queue(self) -> str:
        """The name of the queue, stream or channel that the message came on."""
        return self.channel or self._batch.source

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1; always 1 where the pattern does not redeliver."""
        return self._batch.attempt(self.index)

    @property
    def redelivered(self) -> bool:
        """Whether the message was delivered before, as far as Redis knows."""
        return self.attempt > 1

    @property
    def first_sent_at(self) -> datetime | None:
        """When the message was created, by its sender's clock."""
        return None if self.message is None else self.message.timestamp

    @property
    def lost(self) -> threading.Event:
        """Set when the lease is lost: another consumer gets the message, so the handler should stop."""
        return self._batch.lost_event()

    @property
    def channel(self) -> str | None:
        """The channel that it came on, if the listener has a glob; None if it has one channel."""
        channels = self._batch.channels
        return channels[self.index] if channels else None

    def ack(self) -> None:
        """The message was handled. A second answer to the same delivery changes nothing."""
        self._batch.answered(self.index, None)

    def fail(self, error: Exception) -> None:
        """The message was not handled. If the pattern redelivers, it is retried; otherwise it is lost."""
        self._batch.answered(self.index, error)


_SOME = 32
"""How many messages are parsed in one go. More would cost time: the garbage collector visits each one that is alive."""


_SOME_BYTES = 1024 * 1024


class Batch:
    """Payloads that were taken together. Iteration parses and yields them one by one, so that each can be freed.

    A second iteration continues where the first stopped.
    """

    def __init__(self, pattern: str, payloads: Sequence[bytes], max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.pattern = pattern
        self.payloads = payloads
        self.max_bytes = max_bytes
        self.channels: Sequence[str] = ()
        """The channel of each payload, if the listener has a glob; otherwise empty."""
        self.position = 0
        """How many messages were begun."""
        self.acked = 0
        """So many from the first were handled. Setting it acknowledges all of these but the failed ones at once."""
        self.skipped: Collection[int] = ()
        """Positions that were answered before they were begun: they are not delivered."""
        self.problems: Mapping[int, UnreadableError] = {}
        """Positions that are unreadable whatever their payload is."""
        self.source = ""
        """The name of the queue, stream or channel."""
        self.until = math.inf
        """By the monotonic clock. What is unstarted then goes back, so that others can take it; see `may_begin`."""

    def may_begin(self, index: int) -> bool:
        """Whether this position may be begun after `until`: only the first may, so that each take makes progress."""
        return index <= len(self.skipped)

    def attempt(self, index: int) -> int:  # noqa: ARG002 - subclasses use it
        """The number of this attempt for the message at this position, from 1."""
        return 1

    def lost_event(self) -> threading.Event:
        """Set when the lease is lost; never set for a batch without a lease."""
        return threading.Event()

    def __len__(self) -> int:
        return len(self.payloads)

    @property
    def unstarted(self) -> Sequence[bytes]:
        """The payloads that were not begun: the listener puts them back when it stops."""
        return self.payloads[self.position :]

    def rewind(self) -> None:
        """Mark every message as unstarted again."""
        self.position = 0

    def answered(self, index: int, error: Exception | None, policy: Policy | None = None) -> None:
        """Note the answer to one delivery. Here it changes nothing, because the message is no longer in Redis."""

    def __iter__(self) -> Iterator[Delivery]:
        for index, message in self.reading():
            if isinstance(message, UnreadableError):
                yield Delivery(self, index, None, message)
            else:
                yield Delivery(self, index, message)

    def reading(self) -> Iterator[tuple[int, Message | UnreadableError]]:
        """Yield positions, with the message or the reason why it cannot be read: cheaper than a `Delivery` for each."""
        now = time.monotonic
        while self.position < len(self.payloads):
            for index, message in enumerate(self.next_chunk(), self.position):
                self.position = index + 1
                if now() > self.until and not self.may_begin(index):
                    self.position = index
                    return
                if message is not None:
                    yield index, message

    def next_chunk(self) -> "list[Message] | list[Message | UnreadableError | None]":
        """Parse the next few messages in one go (an eighth faster), without beginning them; None for `skipped` ones."""
        first = self.position
        some = self.payloads[first : first + _SOME]
        if sum(map(len, some)) > _SOME_BYTES:
            some = some[:1]  # parsing more would keep the first message waiting
        if not self.skipped and not self.problems and max(map(len, some), default=0) <= self.max_bytes:
            with contextlib.suppress(ValidationError):
                return [validate_json(payload) for payload in some]
        return [
            None if index in self.skipped else self._read(index, payload) for index, payload in enumerate(some, first)
        ]

    def _read(self, index: int, payload: bytes) -> Message | UnreadableError:
        try:
            return self.problems.get(index) or read(payload, self.max_bytes)
        except UnreadableError as problem:
            return problem


class Sender(Protocol):
    """Turns messages into commands. The caller decides which commands share a round trip and a MULTI."""

    def commands(self, messages: Sequence[Message], payloads: Sequence[bytes], due: Due | None) -> list[Command]:
        """The commands that send these messages, as ``payloads``; ``due`` only where the pattern schedules."""
        ...

    def joins(self, messages: Sequence[Message], due: Due | None) -> bool:
        """Whether these messages and other callers' can share one command, which Redis accepts or refuses whole."""
        ...

    def upkeep(self) -> list[Command]:
        """The commands to send after the messages, also if Redis refused these."""
        ...

    def receipt(
        self, commands: Sequence[Command], replies: Sequence[Reply], upkeep: Sequence[Reply], count: int
    ) -> Receipt:
        """The meaning of the replies to these ``commands`` for ``count`` messages, and to ``upkeep``."""
        ...


class Listener(Protocol):
    """Takes messages from Redis in batches. One thread uses it; only ``interrupt`` may be called by others."""

    can_requeue: bool
    """Whether `settle` can put messages without an answer back for other consumers."""

    def open(self) -> None:
        """Connect, and subscribe where the pattern needs it; also after a lost connection.

        Raises:
            UnavailableError, RefusedError
        """
        ...

    def take(self, limit: int) -> Batch:
        """Wait up to a second for messages; return at most ``limit`` of them, or none.

        Raises:
            UnavailableError, RefusedError
        """
        ...

    def settle(self, batch: Batch) -> None:
        """Send the answers of a batch to Redis. Messages without an answer are put back where the pattern can."""
        ...

    def lost(self) -> str:
        """What an outage may have cost, as a text for the log."""
        ...

    def interrupt(self, control: Connection) -> None:
        """Called by another thread, with its own connection: end a wait early if that loses no message."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pattern:
    """One entry of the registry."""

    name: str
    label: str
    """Its name in the lines that the subscriber prints."""
    setting: str
    """The environment variable that names its channel or key."""
    guarantees: Guarantees
    sender: Callable[[Options], Sender]
    listener: Callable[[Options, Connection, Counts], Listener]
