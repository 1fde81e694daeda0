"""The part that `Publisher` and `AsyncPublisher` share: messages to commands, replies to receipts, without I/O.

destination, messages, due = core.request(...)      # checked; nothing has changed yet
payloads = core.write(destination, messages)        # numbered, in the order in which they are sent
exchange = Exchange(destination, messages, payloads, due)
receipts = core.receipts(exchange, replies, ...)    # what Redis has answered, counted
"""

import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeAlias

import hiredis
from pydantic_core import PydanticSerializationError

from townpost.counts import Counts
from townpost.errors import HalfSentError, RefusedError, SettingError, UnavailableError, UnsendableError
from townpost.library_heartbeat import LibraryHeartbeat
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Due
from townpost.publishing.destinations import Destination, Destinations
from townpost.publishing.exchange import Exchange
from townpost.publishing.models import Labels, Sendable, messages_of
from townpost.publishing.numbering import Numbering
from townpost.receipts import Receipt
from townpost.redis.connection import Reply
from townpost.redis.refusals import refusal
from townpost.settings import Settings
from townpost.text import printable

__all__ = ["Core", "Request", "checked_timeout"]

Request: TypeAlias = tuple[Destination, Sequence[Message], Due | None]
"""Where the messages of one `send` go, and when they become ready."""


_MOST_NAMES = 60
"""So many names are in a report: the page shows no more."""


class Core:
    """The state of one publisher: destinations, numbers and counts. It does not connect."""

    def __init__(self, settings: Settings, owner: object, *, report: bool) -> None:
        """Nothing is sent.

        Args:
            settings: name Redis and what is used there.
            owner: the publisher; when it is collected without a `close`, its report ends.
            report: whether the dashboard shows its counts.
        """
        self.settings = settings
        self.destinations = Destinations(settings)
        self.counts = {pattern.name: Counts() for pattern in settings.patterns}
        self._by_name = by_name = {(pattern.name, settings.name_of(pattern)): Counts() for pattern in settings.patterns}
        self.heartbeat = LibraryHeartbeat("publisher", owner, settings, lambda: by_name) if report else None
        self._sender = settings.sender
        self._max_bytes = settings.max_message_bytes
        self._numbering = Numbering()
        self._counting = threading.Lock()

    def request(  # noqa: PLR0917 - from the keywords of `send`, on the path of each message
        self,
        sendable: Sendable,
        on: Collection[str] | None,
        to: str | None,
        delay: float | None,
        at: datetime | None,
        labels: Labels,
    ) -> Request:
        """Check the arguments of one `send`.

        Raises:
            SettingError: an argument cannot be used.
            UnsendableError: this is no message.
        """
        destination = self.destinations.find(on, to)
        due = None if delay is None and at is None else destination.due(delay, at)
        return destination, messages_of(sendable, labels, self._sender), due

    def write(self, destination: Destination, messages: Sequence[Message]) -> list[bytes]:
        """Number the messages that have no number, and encode all; a repetition sends the same bytes.

        Raises:
            UnsendableError: a message is too long, or not UTF-8.
        """
        places = [(destination.place, messages)] if destination.route is None else _places(destination, messages)
        numbered = [(place, self._numbering.number(some, place)) for place, some in places]
        try:
            return self._written(messages)
        except UnsendableError:
            for place, some in numbered:
                self._numbering.take_back(some, place)
            raise

    def _written(self, messages: Sequence[Message]) -> list[bytes]:
        try:
            payloads = [message.encode() for message in messages]
        except PydanticSerializationError:
            raise _unwritable(messages) from None
        if max(map(len, payloads)) > self._max_bytes:
            size, message = next(
                (len(p), m) for p, m in zip(payloads, messages, strict=True) if len(p) > self._max_bytes
            )
            raise UnsendableError(
                f"message {message.id} has {size:,} bytes, more than MAX_MESSAGE_BYTES={self._max_bytes:,}"
            )
        return payloads

    def receipts(self, exchange: Exchange, replies: Sequence[Reply], kept: Sequence[Reply]) -> list[Receipt]:
        """The receipts of these replies to its commands, and of ``kept`` to its upkeep; one for each pattern.

        Raises:
            UnavailableError: Redis is not ready.
            HalfSentError: some patterns took the messages and others refused.
            RefusedError: nothing was sent.
        """
        destination = exchange.destination
        replies = exchange.outcome(replies)
        receipts: list[Receipt] = []
        refused: dict[str, RefusedError] = {}
        for name, sender, part, extra in zip(
            destination.names, destination.senders, exchange.parts, exchange.upkeep, strict=True
        ):
            mine, replies = replies[: len(part)], replies[len(part) :]
            theirs, kept = kept[: len(extra)], kept[len(extra) :]
            errors = [reply for reply in mine if isinstance(reply, hiredis.ReplyError)]
            if errors:
                refused[name] = _explained(destination, name, str(errors[0]))
            else:
                receipts.append(sender.receipt(part, mine, theirs, exchange.size))
        self._count(destination, receipts)
        if refused and receipts:
            raise HalfSentError(receipts, refused)
        if refused:
            raise next(iter(refused.values()))
        return receipts

    def _count(self, destination: Destination, receipts: Sequence[Receipt]) -> None:
        with self._counting:
            for receipt in receipts:
                place = (receipt.pattern, destination.sources[receipt.pattern])
                for counts in (self.counts[receipt.pattern], self._by_name.get(place) or self._counts_of(place)):
                    counts.sent += receipt.sent
                    counts.unheard += receipt.unheard
        if self.heartbeat is not None:
            self.heartbeat.begin()

    def _counts_of(self, place: tuple[str, str]) -> Counts:
        """The counts of a further queue, stream or channel; one for all others when there are too many."""
        if len(self._by_name) < _MOST_NAMES:
            return self._by_name.setdefault(place, Counts())
        return self._by_name[place[0], self.settings.name_of(PATTERNS[place[0]])]


def _places(destination: Destination, messages: Sequence[Message]) -> list[tuple[str, Sequence[Message]]]:
    """The destination of each message, if they may differ."""
    route = destination.route
    assert route is not None  # noqa: S101 - asked only where there is one
    return [(f"{destination.place} {route(message)}", (message,)) for message in messages]


def _unwritable(messages: Sequence[Message]) -> UnsendableError:
    for message in messages:
        try:
            message.encode()
        except PydanticSerializationError as error:
            return UnsendableError(f"message {message.id} cannot be written as UTF-8: {printable(str(error))}")
    return UnsendableError("a message cannot be written as UTF-8")


def _explained(destination: Destination, name: str, reply: str) -> RefusedError:
    error = refusal(reply)
    if isinstance(error, UnavailableError):
        raise error
    return destination.settings.explain(name, error)


def checked_timeout(seconds: float) -> float:
    """The same seconds.

    Raises:
        SettingError: it is no time in which anything could be sent.
    """
    if not seconds > 0:
        raise SettingError(f"timeout={seconds!r} cannot be used: give seconds above 0, or None to try only once")
    return seconds
