"""The one shape all patterns have, so that no service ever asks which pattern it holds."""

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
    """What a pattern promises, as data: the conformance suite and the README's table are made from it."""

    durable: bool
    """A message sent while no listener runs is there when one starts."""
    redelivers: bool
    """A message whose handler failed or died is handed out again: at least once."""
    fan_out: bool
    """Every listener gets every message; otherwise each message goes to one of them."""
    ordered: bool
    """One listener gets one sender's messages in the order they were sent, while nothing fails. Where several compete,
    what an overrunning batch gives back changes places.
    """
    replays: bool
    """A message that was handled can be read again."""
    groups: bool
    """Each consumer group gets every message, its members share them."""
    schedules: bool
    """Takes a priority and a delay."""
    remembers: bool = False
    """Can remember the ids of handled messages, so that a second copy is not handled (ONCE_SECONDS)."""

    @property
    def promise(self) -> str:
        """The same in one plain sentence."""
        who = (
            "everyone who listens" if self.fan_out else "one listener of each group" if self.groups else "one listener"
        )
        if not self.durable:
            return f"Now or never: {who} right now hears it, and nobody else ever will."
        kept = "It is kept, to be read again, and waits" if self.replays else "It waits"
        end = "has handled it, whoever crashes; it may come twice" if self.redelivers else "takes it; taken is taken"
        return f"{kept} until {who} {end}."


@dataclass(frozen=True, slots=True)
class Due:
    """When messages become ready: so many seconds from now by Redis's clock, or at a moment."""

    delay: float | None = None
    at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what no calendar has.

        Raises:
            SettingError: a negative delay or one of over ten years, a moment without a time zone or after 9000.
        """
        if self.delay is not None and not 0 <= self.delay <= _TEN_YEARS:
            raise SettingError(f"a delay is between 0 and {_TEN_YEARS:,} seconds, not {self.delay:g}")
        if self.at is not None and (self.at.tzinfo is None or self.at.year > _LAST_YEAR):
            raise SettingError(f"a moment has a time zone and a year up to {_LAST_YEAR}, not {self.at.isoformat()}")


class Delivery:
    """One message on its way to a handler, or the reason it could not be read."""

    __slots__ = ("_batch", "deadline", "index", "message", "problem")

    def __init__(
        self, batch: "Batch", index: int, message: Message | None, problem: UnreadableError | None = None
    ) -> None:
        self._batch = batch
        self.index = index
        self.message = message
        self.problem = problem
        self.deadline: float | None = None
        """By the monotonic clock: when the time limit of its handler ends."""

    @property
    def pattern(self) -> str:
        return self._batch.pattern

    @property
    def raw(self) -> bytes:
        return self._batch.payloads[self.index]

    @property
    def queue(self) -> str:
        """The name of the queue, stream or channel it came on."""
        return self.channel or self._batch.source

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; always 1 where the pattern does not redeliver."""
        return self._batch.attempt(self.index)

    @property
    def redelivered(self) -> bool:
        """Whether it was handed out before, as far as Redis knows."""
        return self.attempt > 1

    @property
    def first_sent_at(self) -> datetime | None:
        """When it was created, by its sender's clock."""
        return None if self.message is None else self.message.timestamp

    @property
    def lost(self) -> threading.Event:
        """Set once its lease is gone: another consumer gets it, so stop."""
        return self._batch.lost_event()

    @property
    def channel(self) -> str | None:
        """On which of the channels of a glob it came; None where there is but one."""
        channels = self._batch.channels
        return channels[self.index] if channels else None

    def ack(self) -> None:
        """Handled. A second answer to the same delivery changes nothing."""
        self._batch.answered(self.index, None)

    def fail(self, error: Exception) -> None:
        """Not handled; what happens next is the pattern's promise (retried where it redelivers)."""
        self._batch.answered(self.index, error)


_SOME = 32
"""How many messages are read at one go. The garbage collector walks those that are alive: of hundreds, at length."""


_SOME_BYTES = 1024 * 1024


class Batch:
    """Payloads taken together; iterating reads and yields them one by one, so that each can be let go.

    A second pass goes on where the first was left.
    """

    def __init__(self, pattern: str, payloads: Sequence[bytes], max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.pattern = pattern
        self.payloads = payloads
        self.max_bytes = max_bytes
        self.channels: Sequence[str] = ()
        """For each payload, where a glob stands for several channels."""
        self.position = 0
        """How many were begun."""
        self.acked = 0
        """How many of them were handled: the same as `ack` for each that did not `fail`, at the price of one."""
        self.skipped: Collection[int] = ()
        """Positions that were answered before anyone has begun them: they are not handed out."""
        self.problems: Mapping[int, UnreadableError] = {}
        """Positions that are known to be unreadable, whatever their payload."""
        self.source = ""
        """The name of the queue, stream or channel."""
        self.until = math.inf
        """By the monotonic clock. What is not begun by then goes back to where others can take it, see `may_begin`."""

    def may_begin(self, index: int) -> bool:
        """Whether this position may be begun after `until`: only the first may, so that every take gets somewhere."""
        return index <= len(self.skipped)

    def attempt(self, index: int) -> int:  # noqa: ARG002 - where it is known
        """Which attempt this is for the message at this position, from 1."""
        return 1

    def lost_event(self) -> threading.Event:
        """Set once the lease is gone; never, where there is none."""
        return threading.Event()

    def __len__(self) -> int:
        return len(self.payloads)

    @property
    def unstarted(self) -> Sequence[bytes]:
        """The payloads to put back if the listener stopped now: those nobody has begun."""
        return self.payloads[self.position :]

    def rewind(self) -> None:
        """Nothing was begun after all."""
        self.position = 0

    def answered(self, index: int, error: Exception | None, policy: Policy | None = None) -> None:
        """What became of one delivery; here, where each is taken once and for all, nothing follows from it."""

    def __iter__(self) -> Iterator[Delivery]:
        for index, message in self.reading():
            if isinstance(message, UnreadableError):
                yield Delivery(self, index, None, message)
            else:
                yield Delivery(self, index, message)

    def reading(self) -> Iterator[tuple[int, Message | UnreadableError]]:
        """The same without an object for each: positions, and messages or why they cannot be read."""
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
        """The next few read at one go, which is an eighth faster, and not begun; None for those that are `skipped`."""
        first = self.position
        some = self.payloads[first : first + _SOME]
        if sum(map(len, some)) > _SOME_BYTES:
            some = some[:1]  # reading takes as long as a message may wait
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
    """Turns messages into commands; the caller decides what shares a round trip and a MULTI."""

    def commands(self, messages: Sequence[Message], payloads: Sequence[bytes], due: Due | None) -> list[Command]:
        """What sends these messages, whose bytes are ``payloads``; ``due`` only where the pattern schedules."""
        ...

    def joins(self, messages: Sequence[Message], due: Due | None) -> bool:
        """Whether these messages and those of other callers can be one command, which Redis takes or refuses whole."""
        ...

    def upkeep(self) -> list[Command]:
        """What is to be sent after them, also if Redis refused them."""
        ...

    def receipt(
        self, commands: Sequence[Command], replies: Sequence[Reply], upkeep: Sequence[Reply], count: int
    ) -> Receipt:
        """What the replies to these ``commands`` for ``count`` messages, and to ``upkeep``, mean."""
        ...


class Listener(Protocol):
    """Takes messages from Redis in batches. Used by one thread; only ``interrupt`` is for others."""

    can_requeue: bool
    """Whether `settle` can put messages without an answer back for somebody else."""

    def open(self) -> None:
        """Connect, and subscribe or whatever it takes; also after a loss.

        Raises:
            UnavailableError, RefusedError
        """
        ...

    def take(self, limit: int) -> Batch:
        """Wait up to a second for messages and return up to ``limit`` of them, maybe none.

        Raises:
            UnavailableError, RefusedError
        """
        ...

    def settle(self, batch: Batch) -> None:
        """Tell Redis what became of a batch; those without an answer are put back where that is possible."""
        ...

    def lost(self) -> str:
        """After an outage: what it may have cost, in words."""
        ...

    def interrupt(self, control: Connection) -> None:
        """From another thread, through its own link: end a wait early if that loses nothing."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pattern:
    """One entry of the registry."""

    name: str
    label: str
    """As it stands in the subscriber's lines."""
    setting: str
    """The variable that names its channel or key."""
    guarantees: Guarantees
    sender: Callable[[Options], Sender]
    listener: Callable[[Options, Connection, Counts], Listener]
