"""Reads a stream as a member of a consumer group."""

import contextlib
import logging
import os
import random
import socket
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from shared import keys
from shared.connection import Link, Reply
from shared.counts import Counts
from shared.errors import FullError, RefusedError
from shared.patterns.contract import Batch, Command
from shared.patterns.leased import CrashedError, Keeper, LeasedBatch, Settling, describe, reason
from shared.patterns.stream.scripts import RENEW, SETTLE, TIDY
from shared.patterns.stream.sender import FIELD

if TYPE_CHECKING:
    from shared.settings import Settings

__all__ = ["StreamListener"]

_BLOCK_SECONDS = 1.0
_LOOK_SECONDS = 1.0
"""How often it looks for what dead members hold, when anything is pending at all; else a third as often."""
_GONE_MS = 3_600_000
_MOST_DOUBLINGS = 30
_OURS = 2
"""One field and its value."""
_WAITING = b"waiting"
"""The member in whose name entries are pending that nobody has in hand: retries, and what a stop gave back."""
_STARTS = {"beginning": "0", "now": "$"}


class _Entries(LeasedBatch):
    """Entries of the stream, with how often each was handed out."""

    def __init__(self, name: str, entries: Sequence[tuple[bytes, bytes]], attempts: int, max_bytes: int) -> None:
        super().__init__("stream", name, [payload for _, payload in entries], max_bytes)
        self.ids = [entry_id for entry_id, _ in entries]
        self.attempts = attempts


class StreamListener:
    """See the module's docstring in shared/patterns/stream."""

    unhandled_return = True

    def __init__(self, settings: "Settings", link: Link, counts: Counts) -> None:
        self._stream = settings.stream
        self._group = settings.consumer_group
        self._start = _STARTS.get(settings.stream_start, settings.stream_start)
        self._link = link
        self._counts = counts
        self._max_bytes = settings.max_message_bytes
        self._lease_ms = int(settings.lease_seconds * 1000)
        self._max_attempts = settings.max_attempts
        self._backoff = settings.backoff_seconds
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._keeper = Keeper(
            "stream",
            Link(settings.url, name="townpost-stream-keeper"),
            self._renew,
            lease=settings.lease_seconds,
            handler_timeout=settings.handler_timeout,
        )
        self._settling = Settling(link, self._keeper, self._settlement, self._note_settled)
        self._look_at = 0.0
        self._log = logging.getLogger("townpost.stream")

    def open(self) -> None:
        self._link.connect()
        try:
            self._link.call("XGROUP", "CREATE", self._stream, self._group, self._start, "MKSTREAM")
        except RefusedError as error:
            # a full Redis refuses to create even what is there
            if "BUSYGROUP" not in str(error) and not (isinstance(error, FullError) and self._group_fields()):
                raise
        self._start = "0"  # a group that vanishes later is made anew from the beginning: nothing may be missed
        for script in (SETTLE, TIDY):
            script.load(self._link)
        self._link.call(*TIDY.command([self._stream], self._group, "", _GONE_MS))
        self._say_lag()

    def take(self, limit: int) -> Batch:
        if time.monotonic() >= self._look_at:
            taken = self._take_over() if self._pending() else None
            if taken is not None:
                return taken
        block = int(_BLOCK_SECONDS * 1000)
        reading: Command = (
            *("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", limit),
            *("BLOCK", block, "STREAMS", self._stream, ">"),
        )
        (reply,) = self._settling.exchange([reading], block=_BLOCK_SECONDS)
        entries = _entries(reply[0][1]) if isinstance(reply, list) and isinstance(reply[0], list) else []
        return self._batch(entries, 1)

    def settle(self, batch: Batch) -> None:
        """Travels with the next read, in one round trip; `close` sends what has none."""
        if isinstance(batch, _Entries):
            self._settling.due.append(batch)

    def lost(self) -> str:
        return "nothing is lost; what others had in hand comes again when its lease has run out"

    def interrupt(self, control: Link) -> None:
        if self._link.client_id is not None:
            control.call("CLIENT", "UNBLOCK", self._link.client_id)

    def close(self) -> None:
        leaving = TIDY.command([self._stream], self._group, self._consumer, _GONE_MS)
        try:
            self._settling.finish([leaving] if self._link.connected else [], self._log)
        finally:
            self._keeper.close()
            self._link.close()

    def _batch(self, entries: Sequence[tuple[bytes, bytes]], attempts: int) -> Batch:
        if not entries:
            return Batch("stream", [])
        self._look_at = min(self._look_at, time.monotonic() + _LOOK_SECONDS)  # now something is pending
        batch = _Entries(entries[0][0].decode(), entries, attempts, self._max_bytes)
        self._keeper.hold(batch.name, batch)
        return batch

    def _pending(self) -> bool:
        """Whether any member holds anything; sets when to look again."""
        (reply,) = self._settling.exchange([("XPENDING", self._stream, self._group)])
        pending = bool(isinstance(reply, list) and reply[0])
        self._look_at = time.monotonic() + _LOOK_SECONDS * (1 if pending else 3)
        return pending

    def _take_over(self) -> Batch | None:
        """One message that was held for too long; alone, so that only it is blamed for the next crash."""
        # not XAUTOCLAIM, which looks at ten entries for each it may take: older ones at work would hide the others
        (overdue,) = self._settling.exchange(
            [("XPENDING", self._stream, self._group, "IDLE", self._lease_ms, "-", "+", 1)]
        )
        match overdue:
            case [[bytes(entry_id), bytes(holder), _, int(before)]]:
                pass
            case _:
                return None
        self._look_at = 0.0  # there may be more
        entries = _entries(
            self._link.call("XCLAIM", self._stream, self._group, self._consumer, self._lease_ms, entry_id)
        )
        if not entries:
            return Batch("stream", [])  # somebody was faster, or it was deleted
        if holder != _WAITING:
            self._counts.recovered += 1
        batch = self._batch(entries, before + 1)
        # the first time it was handed out with others, and who knows which of them was to blame
        if before <= self._max_attempts:
            return batch
        for delivery in batch:
            delivery.fail(CrashedError(f"its consumers died or hung with it, {before} times"))
        self.settle(batch)
        return Batch("stream", [])

    def _settlement(self, batch: _Entries) -> Command:
        failed = {index for index, _ in batch.failed}
        left = batch.open
        if not failed and not left:
            return ("XACK", self._stream, self._group, *batch.ids)
        kept = failed.union(left)
        acked = [entry_id for index, entry_id in enumerate(batch.ids) if index not in kept]
        failures: list[str | bytes | float] = []
        for index, error in batch.failed:
            dead = batch.attempts >= self._max_attempts or reason(error) != "failed"
            doubled = self._backoff * 2 ** min(batch.attempts - 1, _MOST_DOUBLINGS)
            pause = min(doubled, self._lease_ms / 1000) * random.random()  # noqa: S311 - jitter
            crashed = isinstance(error, CrashedError)
            counts = (0, batch.attempts - 1) if crashed else (batch.attempts, 0)
            failures += (batch.ids[index], batch.payloads[index], "dead" if dead else "retry", int(pause * 1000))
            failures += (reason(error), describe(error), *counts)
        back = [batch.ids[index] for index in left]
        return SETTLE.command(
            [self._stream, keys.dead(self._stream)],
            *(self._group, self._consumer, _WAITING, self._lease_ms, batch.attempts - 1),
            *(len(acked), *acked, len(back), *back, *failures),
        )

    def _note_settled(self, batch: _Entries, reply: Reply, repeated: bool) -> None:  # noqa: FBT001
        acknowledged, died, again = reply if isinstance(reply, list) else (reply, 0, 0)
        if isinstance(died, int) and isinstance(again, int):
            self._counts.dead += died
            self._counts.retried += again
            if died:
                self._log.error("%d more dead: see `python -m subscriber dead --pattern stream list`", died)
        answered = len(batch) - len(batch.open)
        taken = sum(number for number in (acknowledged, died, again) if isinstance(number, int))
        if taken < answered and not repeated:
            self._counts.late += 1
            self._log.warning(
                "too late: %d messages are in other hands, their lease had run out (LEASE_SECONDS)", answered - taken
            )

    def _renew(self, link: Link, held: Mapping[str, LeasedBatch]) -> None:
        for batch in held.values():
            if isinstance(batch, _Entries):
                ids = batch.ids
                link.call(*RENEW.whole([self._stream], self._group, self._consumer, ids[0], ids[-1], len(ids)))

    def _group_fields(self) -> dict[Reply, Reply] | None:
        """What XINFO GROUPS says of our group; None if there is no such group."""
        groups = self._link.call("XINFO", "GROUPS", self._stream)
        for fields in groups if isinstance(groups, list) else []:
            group = dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else {}
            if group.get(b"name") == self._group.encode():
                return group
        return None

    def _say_lag(self) -> None:
        with contextlib.suppress(RefusedError):  # an ACL may forbid it
            if group := self._group_fields():
                self._log.info(
                    "group '%s': %s to read, %s pending", self._group, group.get(b"lag"), group.get(b"pending")
                )


def _entries(reply: Reply) -> list[tuple[bytes, bytes]]:
    """(id, payload) of each; an entry without our field is shown by all it has."""
    found = []
    for entry in reply if isinstance(reply, list) else []:
        # plain indexing: a match statement takes three times as long, for each entry
        entry_id, fields = entry if isinstance(entry, list) else (None, None)
        if not isinstance(entry_id, bytes) or not isinstance(fields, list):
            continue  # deleted meanwhile
        if len(fields) == _OURS and fields[0] == FIELD and isinstance(payload := fields[1], bytes):
            found.append((entry_id, payload))
            continue
        values = [field for field in fields if isinstance(field, bytes)]
        pairs = dict(zip(values[::2], values[1::2], strict=False))
        found.append((entry_id, pairs.get(FIELD, b" ".join(values))))
    return found
