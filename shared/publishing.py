"""Sends messages on one or more patterns: one round trip for a whole sequence, once on each pattern.

Several patterns share one MULTI, so that no message is half sent. What a lost reply leaves unknown is the
caller's to decide: `Publisher.send` repeated with the same messages sends the same ids again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import hiredis
from pydantic_core import PydanticSerializationError

from shared.connection import Link, refusal
from shared.errors import HalfSentError, RefusedError, SettingError, UnavailableError, UnsendableError
from shared.message import Message
from shared.patterns import PATTERNS
from shared.patterns.contract import Command, Due, Receipt
from shared.settings import Settings
from shared.text import printable

__all__ = ["Publisher"]


class Publisher:
    """Use it in a `with`, or call `open` and `close`. For one thread."""

    def __init__(self, pattern: str | None = None, *, settings: Settings | None = None) -> None:
        """Nothing is sent before `open`.

        Args:
            pattern: as PATTERN; None for what the settings say.
            settings: None reads the environment.

        Raises:
            SettingError: the environment or the pattern cannot be used.
        """
        self._settings = settings or Settings.read(pattern=pattern)
        self._senders = {p.name: p.sender(self._settings) for p in self._settings.patterns}
        self._max_bytes = self._settings.max_message_bytes
        self._link = Link(self._settings.url, name="townpost-publisher")

    def open(self) -> None:
        """Connect; `send` does it by itself after a loss."""
        self._link.connect()
        if len(self._senders) > 1:
            self._link.call("MULTI")  # may be forbidden, which is better known before anything is sent
            self._link.call("EXEC")

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
            messages: in the order they are to arrive.
            on: the names of the patterns to use; None for all of this publisher's.
            delay: seconds, by Redis's clock, before they are handed out; for patterns that schedule.
            at: the same, as a moment (with a time zone).

        Raises:
            SettingError: a delay for a pattern that has none; nothing was sent.
            UnsendableError: a message is longer than MAX_MESSAGE_BYTES, or not UTF-8; nothing was sent.
            UnavailableError: the outcome is unknown; sent again, the messages keep their ids.
            HalfSentError: some patterns took them and others refused; it says which.
            RefusedError: nothing was sent.
        """
        if not messages:
            return []
        if not self._link.connected:
            self.open()
        names = [name for name in self._senders if on is None or name in on]
        due = None if delay is None and at is None else Due(delay, at)
        if due is not None and not all(PATTERNS[name].guarantees.schedules for name in names):
            raise SettingError(f"PATTERN={','.join(names)} cannot delay a message: use reliable")
        payloads = [self._encode(message) for message in messages]
        parts = [self._senders[name].commands(messages, payloads, due) for name in names]
        commands: list[Command] = [command for part in parts for command in part]
        upkeep = [self._senders[name].upkeep() for name in names]
        after = [command for part in upkeep for command in part]
        # of several commands that write, Redis may take some and refuse the rest: it fills up amid them
        if len(names) == 1 and (len(commands) == 1 or not PATTERNS[names[0]].guarantees.durable):
            replies = self._link.pipeline([*commands, *after])
        else:
            try:
                replies = self._link.transaction(commands, after)
            except RefusedError as error:
                raise type(error)(f"nothing was sent on {', '.join(names)}: {error}") from None
        replies, kept = replies[: len(commands)], replies[len(commands) :]
        receipts: list[Receipt] = []
        refused: dict[str, RefusedError] = {}
        for name, part, extra in zip(names, parts, upkeep, strict=True):
            mine, replies = replies[: len(part)], replies[len(part) :]
            theirs, kept = kept[: len(extra)], kept[len(extra) :]
            refused_reply = next((reply for reply in mine if isinstance(reply, hiredis.ReplyError)), None)
            if refused_reply is None:
                receipts.append(self._senders[name].receipt(mine, theirs, len(payloads)))
            else:
                refused[name] = self._explain(name, str(refused_reply))
        if refused and receipts:
            raise HalfSentError(receipts, refused)
        if refused:
            raise next(iter(refused.values()))
        return receipts

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
