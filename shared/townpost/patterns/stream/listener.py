"""Reads a stream as a member of a consumer group."""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from townpost import keys
from townpost.counts import Counts
from townpost.errors import FullError, RefusedError, TownpostError, WrongTypeError
from townpost.patterns.ack_pipeline import AckPipeline
from townpost.patterns.contract import Batch
from townpost.patterns.dead_list import command_to_list
from townpost.patterns.foreign import set_aside
from townpost.patterns.lease_renewer import LeaseRenewer
from townpost.patterns.leased import Part
from townpost.patterns.options import Options
from townpost.patterns.stream.entries import Entries, Found, ReadSize, parse
from townpost.patterns.stream.looking import Look, Taken
from townpost.patterns.stream.scripts import FREE, SETTLE, TAKE, TIDY
from townpost.patterns.stream.settlement import Settled, Settlement
from townpost.patterns.stream.upkeep import EntriesUpkeep
from townpost.prefetch import OVERRUN_SECONDS
from townpost.redis.connection import Command, Connection, Reply
from townpost.text import printable
from townpost.verdicts import CrashedError, Policy

__all__ = ["StreamListener"]

_BLOCK_SECONDS = 1.0
_GONE_MS = 3_600_000
_STARTS = {"beginning": "0", "now": "$"}


class StreamListener:
    """Reads entries, settles them, and takes over pending ones; looking.py explains how."""

    can_requeue = True

    def __init__(self, settings: Options, connection: Connection, counts: Counts) -> None:
        self._stream = stream = settings.stream
        self._group = group = settings.consumer_group
        self._wake = keys.wake(stream, group)
        self._start = _STARTS.get(settings.stream_start, settings.stream_start)
        self._connection = connection
        self._counts = counts
        self._max_bytes = settings.max_message_bytes
        self._lease = settings.lease_seconds
        self._max_attempts = settings.max_attempts
        self._overrun = OVERRUN_SECONDS if settings.prefetch is None else None
        self._member = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._consumer = self._member
        self._opened = 0
        policy = Policy(
            self._max_attempts, settings.backoff_seconds, self._lease
        )  # a retry waits no longer than a lease
        self._settlement = Settlement(stream, group, lease=self._lease, policy=policy)
        self._at_once = False
        self.tells_attempts = True
        """Batches always know how often their messages were tried: here it costs nothing."""
        self._renewer = LeaseRenewer(
            "stream",
            Connection(settings.url, name="townpost-stream-renewer"),
            EntriesUpkeep(stream, group, self._settlement),
            lease=settings.lease_seconds,
            handler_timeout=settings.handler_timeout,
        )
        self._pipeline = AckPipeline[Entries](connection, self._renewer, self._settlement.command, self._note_settled)
        self._look = Look(stream, group, self._lease)
        self._size = ReadSize()
        self._said_full = False
        self._log = logging.getLogger("townpost.stream")

    def acknowledge_apart(self, connection: Connection) -> tuple[AckPipeline[Entries], Callable[[], None]]:
        self._at_once, self._overrun = True, None
        return self._pipeline.apart(connection, SETTLE, FREE)

    def open(self) -> None:
        self._connection.connect()
        self._pipeline.opened()
        self._create(self._stream, self._start)
        self._start = "0"  # a group that is deleted later is created from the beginning, so that it misses no entry
        set_aside(self._connection, keys.stream_types(self._stream, self._group), self._log)
        self._create(self._wake, "0")
        for script in (SETTLE, FREE, TAKE, TIDY):
            script.load(self._connection)
        self._connection.call(*self._tidy(self._consumer if self._opened else ""))
        self._renamed()
        self._look.opened()
        self._say_lag()

    def _create(self, stream: str, start: str) -> None:
        try:
            self._connection.call("XGROUP", "CREATE", stream, self._group, start, "MKSTREAM")
        except RefusedError as error:
            # a full Redis refuses XGROUP CREATE even if the group exists
            if "BUSYGROUP" not in str(error) and not (isinstance(error, FullError) and self._group_fields(stream)):
                raise

    def _renamed(self) -> None:
        """Take a new member name: entries whose reply was lost stay with the old one, whose lease expires."""
        self._consumer = self._member if not self._opened else f"{self._member}-{self._opened}"
        self._opened += 1

    def take(self, limit: int) -> Batch:
        try:
            batch = self._take(limit)
        except WrongTypeError:
            if not set_aside(self._connection, keys.stream_types(self._stream, self._group), self._log):
                raise
            self._create(self._wake, "0")
            batch = None
        return Batch("stream", []) if batch is None else batch

    def _take(self, limit: int) -> Batch | None:
        if time.monotonic() >= self._look.at and (batch := self._taken_over(limit)) is not None:
            return batch
        found = self._read(limit)
        return self._batch(found, 1) if found.ids else None

    def _read(self, limit: int) -> Found:
        count = self._size.of(limit)
        seconds = max(0.001, min(_BLOCK_SECONDS, self._lease / 3, self._look.at - time.monotonic()))
        reading: Command = (
            *("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count),
            *("BLOCK", max(1, int(seconds * 1000)), "STREAMS", self._stream, self._wake, ">", ">"),
        )
        self._sent = time.monotonic()
        (reply,) = self._exchange([reading], block=seconds)
        found, woken = Found(), Found()
        for part in reply if isinstance(reply, list) else []:
            match part:
                case [name, entries]:
                    parse(entries, woken if name == self._wake.encode() else found)
        self._size.came(found.payloads)
        if woken.ids:
            self._look.wake(woken.ids)
        if found.ids and self._look.promised:
            self._pass_on()
        return found

    def _pass_on(self) -> None:
        """Wake another member to watch what is due next, because this one is busy now."""
        with contextlib.suppress(RefusedError):
            self._connection.call("XADD", self._wake, "MAXLEN", 1, "*", "look", "1")
            self._look.passed_on()

    def _exchange(self, commands: Sequence[Command], block: float = 0.0) -> list[Reply]:
        try:
            return self._pipeline.exchange(commands, block)
        except FullError:
            self._renamed()
            if not any(batch.full for batch in self._pipeline.unconfirmed):
                raise
        except RefusedError:
            self._renamed()  # the entries read behind a refused settlement were not returned to us
            raise
        # Redis has no room for failures, but can acknowledge handled entries
        return self._pipeline.exchange(commands, block)

    def settle(self, batch: Batch) -> None:
        """Queue the settlement: it is sent together with the next read, or by `close`."""
        if isinstance(batch, Entries):
            batch.settling = True
            self._pipeline.unconfirmed.append(batch)

    def lost(self) -> str:
        return "nothing is lost; what others had in flight comes again when its lease has run out"

    def interrupt(self, control: Connection) -> None:
        self._connection.unblock(control)

    def close(self) -> None:
        try:
            with contextlib.suppress(TownpostError):  # logged below
                while self._pipeline.unconfirmed:
                    self._exchange([])
            self._pipeline.finish([self._tidy(self._consumer)] if self._connection.connected else [], self._log)
        finally:
            self._renewer.close()
            self._connection.close()

    def _tidy(self, leaving: str) -> Command:
        return TIDY.command([self._stream, self._wake], self._group, leaving, _GONE_MS)

    def _batch(self, found: Found, attempts: int, *, again: bool = False) -> Entries:
        batch = Entries(found, self._consumer, attempts, self._max_bytes, again=again)
        for index, fields in found.extra.items():
            if fields.get(b"group", self._group.encode()) != self._group.encode():
                batch.answered(index, None)  # it was requeued for another group
        batch.at_once = self._at_once
        batch.take_up(self._overrun, self._sent + self._lease)
        self._look.soon()
        self._renewer.hold(batch.name, batch, batch.leased_until)
        return batch

    def _taken_over(self, limit: int) -> Batch | None:
        """Take over due entries and those whose lease has expired."""
        self._sent = time.monotonic()
        (reply,) = self._exchange([self._look.command(self._consumer, self._size.of(limit))])
        taken = self._look.answer(reply)
        if taken is None:
            return None
        if taken.malformed:
            self._log.warning(
                "%d members of %s are no entries: removed, see who writes it",
                taken.malformed,
                keys.retries(self._stream, self._group),
            )
        return self._fetched(taken) if taken.ids else None

    def _fetched(self, taken: Taken) -> Batch:
        ranges: list[Command] = [("XRANGE", self._stream, entry_id, entry_id) for entry_id in taken.ids]
        found = Found()
        for reply in self._exchange(ranges):
            parse(reply, found)
        self._size.came(found.payloads)
        if not found.ids:
            return Batch("stream", [])  # the entry was deleted meanwhile
        self._counts.add(recovered=taken.from_dead)
        batch = self._batch(found, taken.before + 1, again=True)
        # the first time it was delivered with others, any of which may have caused the crash
        if taken.before <= self._max_attempts:
            return batch
        for index in range(len(batch)):
            batch.answered(index, CrashedError(f"its consumers died or stalled with it, {taken.before} times"))
        self.settle(batch)
        return Batch("stream", [])

    def _note_settled(self, batch: Entries | Part, reply: Reply, repeated: bool) -> None:  # noqa: FBT001 - AckPipeline passes its arguments in order
        settled = Settled(reply)
        if isinstance(batch, Part):
            self._note_part(batch)
        else:
            self._note_whole(batch, settled, repeated=repeated)
        self._tell_settled(settled, full=batch.full)

    def _note_part(self, part: Part) -> None:
        part.batch.part_settled(part)
        if isinstance(part.batch, Entries):
            part.batch.held -= len(part.acked) + len(part.failed) + len(part.returned)
            part.batch.settling = False

    def _tell_settled(self, settled: Settled, *, full: bool) -> None:
        if settled.died or settled.again:
            self._counts.add(dead=settled.died, retried=settled.again)
        if settled.died:
            self._log.error("%d more dead: see `%s`", settled.died, command_to_list("stream", self._stream))
        if settled.problem:
            self._log.error("%d dead letters are refused, and come again: %s", settled.refused, settled.problem)
        if settled.waiting and not self._said_full:
            self._log.error(
                "Redis is full: what failed comes again after LEASE_SECONDS, there is no room to note that it failed"
            )
        self._said_full = full

    def _note_whole(self, batch: Entries, settled: Settled, *, repeated: bool) -> None:
        if settled.taken < batch.asked and not repeated:
            self._counts.add(late=1)
            self._log.warning(
                "too late: %d messages of %s are in other hands, their lease had run out (LEASE_SECONDS)",
                batch.asked - settled.taken,
                printable(self._stream),
            )
        batch.told += batch.telling
        if batch.told < len(batch.failures):
            batch.sent = 0
            self._pipeline.unconfirmed.append(batch)
            self._renewer.hold(batch.name, batch, batch.leased_until)

    def _group_fields(self, stream: str) -> dict[Reply, Reply] | None:
        """The entry of our group in XINFO GROUPS; None if there is no such group."""
        groups = self._connection.call("XINFO", "GROUPS", stream)
        for fields in groups if isinstance(groups, list) else []:
            group = dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else {}
            if group.get(b"name") == self._group.encode():
                return group
        return None

    def _say_lag(self) -> None:
        with contextlib.suppress(RefusedError):  # an ACL may forbid it
            if group := self._group_fields(self._stream):
                self._log.info(
                    "%s, group '%s': %s to read, %s pending",
                    printable(self._stream),
                    self._group,
                    group.get(b"lag"),
                    group.get(b"pending"),
                )
