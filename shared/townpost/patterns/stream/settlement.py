"""Builds the commands that settle a batch: one, or several if many payloads become dead letters."""

import random
from collections.abc import Sequence

from townpost import keys
from townpost.patterns.leased import Failure, Part
from townpost.patterns.stream.entries import READ_BYTES, Entries
from townpost.patterns.stream.scripts import FREE, SETTLE, WAITING
from townpost.redis.connection import Command, Reply
from townpost.verdicts import CrashedError, Policy, decide, describe, reason

__all__ = ["Settled", "Settlement"]

_PART_BYTES = 256 * 1024
"""Bytes of dead letters in one command: Redis checks for room only before each command."""
_SHOWN_BYTES = 2048
"""Bytes kept of a payload that is too large to be copied."""


class Settled:
    """The reply to a settlement."""

    def __init__(self, reply: Reply) -> None:
        """Parse the reply of settle.lua, free.lua or XACK."""
        numbers = reply if isinstance(reply, list) else [reply]
        acknowledged, died, again, refused, problem = [*numbers, *[0] * 5][:5]
        self.free = len(numbers) == 2  # noqa: PLR2004 - see free.lua
        self.died = 0 if self.free or not isinstance(died, int) else died
        self.again = again if isinstance(again, int) else 0
        self.refused = refused if isinstance(refused, int) else 0
        self.waiting = died if self.free and isinstance(died, int) else 0
        self.problem = problem.decode(errors="replace") if isinstance(problem, bytes) else ""
        self.taken = self.died + self.again + self.refused + self.waiting
        self.taken += acknowledged if isinstance(acknowledged, int) else 0


class Settlement:
    """Makes the settlements of one group."""

    def __init__(self, stream: str, group: str, *, lease: float, policy: Policy) -> None:
        self._stream = stream
        self._group = group
        self._keys = [
            stream,
            keys.of(stream).dead,
            keys.retries(stream, group),
            keys.wake(stream, group),
            keys.deaths(stream, group),
        ]
        self._lease = lease
        self._policy = policy

    def command(self, settled: Entries | Part) -> Command:
        """The command that settles a batch, the next portion of it, or a `Part`."""
        return self._part(settled) if isinstance(settled, Part) else self._whole(settled)

    def _part(self, part: Part) -> Command:
        batch = part.batch
        assert isinstance(batch, Entries)  # noqa: S101 - of this pattern
        batch.settling = True
        acked = [batch.ids[index] for index in part.acked]
        left = [batch.ids[index] for index in part.returned]
        if not part.failed and not left and not batch.again:
            return ("XACK", self._stream, self._group, *acked)
        if part.full:
            failed = [batch.ids[index] for index, _ in part.failed]
            ids: Command = (len(acked), *acked, *failed, *left)
            return FREE.command([self._stream], self._group, batch.by, WAITING, batch.attempts - 1, *ids)
        failures = [value for index, failure in part.failed for value in self._failure(batch, index, failure)]
        return SETTLE.command(self._keys, *self._head(batch), len(acked), *acked, len(left), *left, *failures)

    def _whole(self, batch: Entries) -> Command:
        batch.settling = True
        if not batch.failures and not batch.again and not batch.open and not batch.parted:
            batch.asked = len(batch.ids)
            return ("XACK", self._stream, self._group, *batch.ids)
        failed = list(batch.failures.items())[batch.told :]
        first = not batch.told
        left = batch.open if first else []
        kept = {*batch.failures, *left, *batch.settled}
        acked = [entry_id for index, entry_id in enumerate(batch.ids) if index not in kept] if first else []
        batch.asked, batch.telling = len(acked) + len(failed), len(failed)
        if batch.full:
            others = [batch.ids[index] for index in (*(index for index, _ in failed), *left)]
            batch.asked += len(left)
            ids: Command = (len(acked), *acked, *others)
            return FREE.command([self._stream], self._group, batch.by, WAITING, batch.attempts - 1, *ids)
        failures: list[str | bytes | float] = []
        size = batch.telling = 0
        for index, failure in failed:
            if size > _PART_BYTES:
                break
            told = self._failure(batch, index, failure)
            size += sum(len(value) for value in told if isinstance(value, str | bytes))
            batch.telling += 1
            failures += told
        batch.asked = len(acked) + batch.telling
        back = [batch.ids[index] for index in left]
        return SETTLE.command(self._keys, *self._head(batch), len(acked), *acked, len(back), *back, *failures)

    def returning(self, batch: Entries, ids: Sequence[bytes]) -> Command:
        """The command that gives these back at once."""
        return SETTLE.whole(self._keys, *self._head(batch), 0, len(ids), *ids)

    def _head(self, batch: Entries) -> Command:
        lease = int(self._lease * 1000)
        return (self._group, batch.by, WAITING, lease, batch.attempts - 1, int(batch.again))

    def _failure(self, batch: Entries, index: int, failure: Failure) -> Command:
        error = failure.error
        crashed = isinstance(error, CrashedError)
        counts = (0, batch.attempts - 1) if crashed else (batch.attempts, 0)
        history = batch.extra.get(index, {}).get(b"history", b"")
        payload, verdict = batch.payloads[index], "dead"
        decision = decide(failure.policy or self._policy, error, batch.attempts)
        if decision.dead is None:
            payload, verdict = b"", "retry"
        elif len(payload) > READ_BYTES:
            payload = payload[:_SHOWN_BYTES]  # the entry itself stays until it is trimmed
        elif len(payload) > batch.max_bytes:
            payload, verdict = b"", "copy"
        fraction = random.random() if decision.jitter else 1  # noqa: S311 - jitter
        pause = int(decision.pause * fraction * 1000)
        return (batch.ids[index], payload, verdict, pause, reason(error), describe(error), *counts, history)
