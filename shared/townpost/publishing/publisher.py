"""Sends messages on one or more patterns: one round trip for a whole sequence, once on each pattern.

Several patterns share one MULTI, so that no message is half sent. What a lost reply leaves unknown is the
caller's to decide: `Publisher.send` repeated with the same messages sends the same ids and numbers again.
"""

import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Self

import hiredis
from pydantic_core import PydanticSerializationError

from townpost.counts import Counts
from townpost.errors import HalfSentError, RefusedError, SettingError, UnavailableError, UnsendableError
from townpost.library_heartbeat import LibraryHeartbeat
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Command, Due, Receipt
from townpost.publishing.numbering import Numbering
from townpost.publishing.rounds import Call, Rounds
from townpost.redis.connection import Connection, Reply, pack
from townpost.redis.refusals import refusal
from townpost.settings import Settings
from townpost.text import printable

__all__ = ["Publisher"]


class _Request(NamedTuple):
    """What one `send` asks of Redis."""

    names: Sequence[str]
    parts: Sequence[Sequence[Command]]
    """The commands of each pattern."""
    upkeep: Sequence[Sequence[Command]]
    """What tidies up after them, in any case, in a round trip of its own: it says nothing about what was sent."""
    whole: bool
    """All of the parts or none: in MULTI and EXEC."""
    size: int
    """How many messages."""

    def commands(self) -> list[Command]:
        parts = [command for part in self.parts for command in part]
        return [("MULTI",), *parts, ("EXEC",)] if self.whole else parts


class Publisher:
    """Use it in a `with`, or call `open` and `close`. Any number of threads may share one, and its round trips."""

    def __init__(self, pattern: str | None = None, *, settings: Settings | None = None, report: bool = True) -> None:
        """Nothing is sent before `open`.

        Args:
            pattern: as PATTERN; None for what the settings say.
            settings: None reads the environment.
            report: whether it tells Redis what it sends, for the dashboard, in a thread that the first send starts.

        Raises:
            SettingError: the environment or the pattern cannot be used.
        """
        self._settings = settings or Settings.read(pattern=pattern)
        self._senders = {p.name: p.sender(self._settings) for p in self._settings.patterns}
        self._max_bytes = self._settings.max_message_bytes
        self._connection = Connection(self._settings.url, name="townpost-publisher")
        self._rounds = Rounds(self._connection, self._connect)
        self._numbering = Numbering()
        self._order = threading.Lock()
        """Numbers are given in the order in which messages are sent."""
        self.counts = counts = {name: Counts() for name in self._senders}
        """By pattern: what Redis has acknowledged."""
        self._counting = threading.Lock()
        self._report = LibraryHeartbeat("publisher", self, self._settings, lambda: counts) if report else None

    def open(self) -> None:
        """Connect; `send` does it by itself after a loss."""
        with self._rounds.lock:
            self._connect()

    def _connect(self) -> None:
        self._connection.connect()
        if len(self._senders) > 1:
            self._connection.call("MULTI")  # may be forbidden, which is better known before anything is sent
            self._connection.call("EXEC")

    def send(
        self,
        messages: Sequence[Message],
        *,
        on: Collection[str] | None = None,
        delay: float | None = None,
        at: datetime | None = None,
    ) -> list[Receipt]:
        """Send every message on every pattern; returns when Redis has acknowledged them all.

        Args:
            messages: in the order they are to arrive. Those that were made without a number get one, and an epoch.
            on: the names of the patterns to use; None for all of this publisher's.
            delay: seconds, by Redis's clock, before they are handed out; for patterns that schedule.
            at: the same, as a moment (with a time zone).

        Raises:
            SettingError: a pattern this publisher does not have, a delay for one that has none; nothing was sent.
            UnsendableError: a message is longer than MAX_MESSAGE_BYTES, or not UTF-8; nothing was sent.
            UnavailableError: the outcome is unknown; sent again, the messages keep their ids and numbers.
            HalfSentError: some patterns took them and others refused; it says which.
            RefusedError: nothing was sent.
        """
        names = self._chosen(on)
        due = self._due(names, delay, at)
        if not messages:
            return []
        with self._order:
            request = self._build(names, messages, due)
            call = self._queue(request.commands())
        replies = self._rounds.result(call)
        return self._interpret(request, replies, self._tidied(request))

    def close(self) -> None:
        with self._rounds.lock:
            self._connection.close()
        if self._report is not None:
            self._report.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _chosen(self, on: Collection[str] | None) -> Sequence[str]:
        if on is None:
            return tuple(self._senders)
        if isinstance(on, str) or not on or not self._senders.keys() >= set(on):
            choices = ", ".join(self._senders)
            raise SettingError(f"on={on!r} is not a list of this publisher's patterns: choose from {choices}")
        return [name for name in self._senders if name in on]

    def _due(self, names: Sequence[str], delay: float | None, at: datetime | None) -> Due | None:
        if delay is None and at is None:
            return None
        if not all(PATTERNS[name].guarantees.schedules for name in names):
            raise SettingError(f"PATTERN={','.join(names)} cannot delay a message: use reliable")
        return Due(delay, at)

    def _build(self, names: Sequence[str], messages: Sequence[Message], due: Due | None) -> _Request:
        self._number(names, messages)
        payloads = [self._encode(message) for message in messages]
        parts = [self._senders[name].commands(messages, payloads, due) for name in names]
        # of several commands that write, Redis may take some and refuse the rest: it fills up amid them
        whole = len(names) > 1 or (len(parts[0]) > 1 and PATTERNS[names[0]].guarantees.durable)
        return _Request(names, parts, [self._senders[name].upkeep() for name in names], whole, len(messages))

    def _number(self, names: Sequence[str], messages: Sequence[Message]) -> None:
        place, route = ",".join(names), self._settings.route
        if route is None:
            self._numbering.number(messages, place)
        else:
            for message in messages:
                self._numbering.number([message], f"{place} {route(message)}")

    def _queue(self, commands: Sequence[Command]) -> Call:
        return self._rounds.queue(b"".join(map(pack, commands)), len(commands))

    def _tidied(self, request: _Request) -> list[Reply]:
        """The replies to the upkeep; none if it was not answered."""
        after = [command for part in request.upkeep for command in part]
        try:
            return self._rounds.result(self._queue(after)) if after else []
        except UnavailableError:
            return []

    def _interpret(self, request: _Request, replies: list[Reply], kept: list[Reply]) -> list[Receipt]:
        replies = self._outcome(request, replies)
        receipts: list[Receipt] = []
        refused: dict[str, RefusedError] = {}
        for name, part, extra in zip(request.names, request.parts, request.upkeep, strict=True):
            mine, replies = replies[: len(part)], replies[len(part) :]
            theirs, kept = kept[: len(extra)], kept[len(extra) :]
            refused_reply = next((reply for reply in mine if isinstance(reply, hiredis.ReplyError)), None)
            if refused_reply is None:
                receipts.append(self._senders[name].receipt(mine, theirs, request.size))
            else:
                refused[name] = self._explain(name, str(refused_reply))
        self._count(receipts)
        if refused and receipts:
            raise HalfSentError(receipts, refused)
        if refused:
            raise next(iter(refused.values()))
        return receipts

    def _outcome(self, request: _Request, replies: list[Reply]) -> list[Reply]:
        """The replies to the commands themselves, also of those in a MULTI.

        Raises:
            UnavailableError, RefusedError: none was run.
        """
        if not request.whole:
            return replies
        if isinstance(replies[0], hiredis.ReplyError):
            return replies[1:-1]  # without MULTI each was run, or refused, on its own
        if isinstance(replies[-1], list):
            return replies[-1]
        why = next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), replies[-1])
        error = refusal(str(why))
        if isinstance(error, RefusedError):
            raise type(error)(f"nothing was sent on {', '.join(request.names)}: {error}")
        raise error

    def _count(self, receipts: Sequence[Receipt]) -> None:
        with self._counting:
            for receipt in receipts:
                counts = self.counts[receipt.pattern]
                counts.sent += receipt.sent
                counts.unheard += receipt.unheard
        if self._report is not None:
            self._report.begin()

    def _encode(self, message: Message) -> bytes:
        try:
            payload = message.encode()
        except PydanticSerializationError as error:
            raise UnsendableError(f"message {message.id} cannot be written as UTF-8: {printable(str(error))}") from None
        if len(payload) > self._max_bytes:
            raise UnsendableError(
                f"message {message.id} has {len(payload):,} bytes, more than MAX_MESSAGE_BYTES={self._max_bytes:,}"
            )
        return payload

    def _explain(self, name: str, reply: str) -> RefusedError:
        error = refusal(reply)
        if isinstance(error, UnavailableError):
            raise error
        return self._settings.explain(name, error)
