"""Adds messages to a reliable queue, with a plain RPUSH where that is enough, as any client can."""

from collections.abc import Sequence

from townpost import keys
from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.patterns.options import Options
from townpost.patterns.reliable.scripts import PUBLISH
from townpost.receipts import Receipt
from townpost.redis.connection import Command, Reply

__all__ = ["ReliableSender"]

_PLAIN = frozenset((None, 0))
"""The priorities whose messages go to the list."""


class ReliableSender:
    """Sends with priorities, delays and a limit of the queue's length."""

    def __init__(self, settings: Options) -> None:
        self._queue = settings.reliable_queue
        self._limit = settings.reliable_limit
        k = keys.of(self._queue)
        self._keys = (k.queue, k.priority, k.scheduled, k.bell)

    def commands(self, messages: Sequence[Message], payloads: Sequence[bytes], due: Due | None) -> list[Command]:
        if self.joins(messages, due):
            return [("RPUSH", self._queue, *payloads)]
        delay = -1 if due is None or due.delay is None else int(due.delay * 1000)
        at = -1 if due is None or due.at is None else int(due.at.timestamp() * 1000)
        pairs: list[str | bytes | float] = []
        for message, payload in zip(messages, payloads, strict=True):
            pairs += (message.priority or 0, payload)
        return [PUBLISH.whole(self._keys, self._limit, delay, at, *pairs)]

    def joins(self, messages: Sequence[Message], due: Due | None) -> bool:
        return due is None and not self._limit and {message.priority for message in messages} <= _PLAIN

    def upkeep(self) -> list[Command]:
        return []

    def receipt(
        self, _commands: Sequence[Command], replies: Sequence[Reply], _upkeep: Sequence[Reply], count: int
    ) -> Receipt:
        return Receipt("reliable", count, f"list '{self._queue}': length {replies[0]!r}")
