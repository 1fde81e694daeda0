"""Appends messages to a stream, and trims it if STREAM_MAXLEN is set."""

import time
from collections.abc import Sequence

import hiredis

from townpost.message import Message
from townpost.patterns.contract import Due
from townpost.patterns.options import Options
from townpost.patterns.stream.scripts import TRIM
from townpost.receipts import Receipt
from townpost.redis.connection import Command, Reply

__all__ = ["FIELD", "StreamSender"]

FIELD = b"message"

_TRIM_SECONDS = 1.0
_TRIM_ENTRIES = 2_000
"""A trim removes twice what was sent since the last one, and so many entries more."""


class StreamSender:
    """Sends one XADD for each message, and trims at most once a second, which also makes room in a full Redis."""

    def __init__(self, settings: Options) -> None:
        self._stream = settings.stream
        self._maxlen = settings.stream_maxlen
        self._sent = 0
        self._trim_at = 0.0

    def commands(self, _messages: Sequence[Message], payloads: Sequence[bytes], _due: Due | None) -> list[Command]:
        self._sent += len(payloads)
        return [("XADD", self._stream, "*", FIELD, payload) for payload in payloads]

    def joins(self, _messages: Sequence[Message], _due: Due | None) -> bool:
        return False

    def upkeep(self) -> list[Command]:
        if not self._maxlen or time.monotonic() < self._trim_at:
            return []
        self._trim_at = time.monotonic() + _TRIM_SECONDS
        most, self._sent = _TRIM_ENTRIES + 2 * self._sent, 0
        return [TRIM.whole([self._stream], self._maxlen, most)]

    def receipt(
        self, _commands: Sequence[Command], replies: Sequence[Reply], upkeep: Sequence[Reply], count: int
    ) -> Receipt:
        last = replies[-1]
        entry_id = last.decode() if isinstance(last, bytes) else last
        said = f"stream '{self._stream}': id {entry_id}"
        warning = ""
        match upkeep:
            case [hiredis.ReplyError() as error]:
                warning = f"stream '{self._stream}' cannot be trimmed: {error}"
            case [[int(length), bytes(group)]] if group:
                warning = (
                    f"stream '{self._stream}' has {length:,} entries, more than STREAM_MAXLEN={self._maxlen:,}: "
                    f"group '{group.decode(errors='replace')}' has not acknowledged the oldest"
                )
        return Receipt("stream", count, said, warning=warning)
