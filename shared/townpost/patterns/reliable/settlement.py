"""Builds the command that settles a claim or a part of it; see settle.lua."""

import random
from collections.abc import Collection, Mapping, Sequence

from townpost.errors import UnreadableError
from townpost.keys import QueueKeys
from townpost.message import read
from townpost.patterns.leased import SETTLED, Failure, Part
from townpost.patterns.reliable.claims import BusyError, Claim
from townpost.patterns.reliable.scripts import SETTLE, SETTLE_WHEN_FULL
from townpost.redis.connection import Command
from townpost.verdicts import Policy, describe, exact_pauses, reason

__all__ = ["Settlement"]

_ERROR_CHARACTERS = 256 * 1024
"""The bound for all error texts of one settlement: Redis may have no room for 1,000 long ones."""
_LEAST_ERROR_CHARACTERS = 100


class Settlement:
    """Makes the settlements of one consumer."""

    def __init__(self, keys: QueueKeys, *, by: str, policy: Policy, remember: float) -> None:
        """Nothing is sent.

        Args:
            keys: of the queue.
            by: the consumer.
            policy: for failed messages whose handler has none of its own.
            remember: seconds that the ids of handled messages are stored.
        """
        k = self._keys = keys
        self._companions = (
            *(k.leases, k.queue, k.scheduled, k.attempts, k.crashes, k.history, k.dead, k.counted, k.bell),
        )
        self._head = (by, max(1, int(remember * 1000)))
        self._policy = policy
        self._acked = SETTLE_WHEN_FULL.head(1 + len(self._companions))

    def command(self, settled: Claim | Part) -> Command:
        """The command that settles this claim or part."""
        if isinstance(settled, Part):
            return self._part(settled)
        claim, size = settled, len(settled.payloads)
        if claim.acked == size and not (claim.failures or claim.once or claim.parted):  # the usual case
            return (*self._acked, claim.name, *self._companions, *self._head, int(claim.full), size, 0, 0, 0)
        left = claim.open
        unhandled = {*left, *claim.settled, *claim.failures}
        return self._command(
            claim,
            left,
            list(claim.failures.items()),
            handled=[index for index in claim.once if index not in unhandled],
            full=claim.full,
        )

    def _part(self, part: Part) -> Command:
        claim = part.batch
        assert isinstance(claim, Claim)  # noqa: S101 - of this pattern
        failed = [index for index, _ in part.failed]
        leaving = {*part.acked, *part.returned, *failed}
        return self._command(
            claim,
            part.returned,
            part.failed,
            handled=[index for index in part.acked if index in claim.once],
            freed=[index for index in (*part.returned, *failed) if index in claim.once],
            stay=[index for index in range(len(claim)) if claim.status[index] != SETTLED and index not in leaving],
            full=part.full,
        )

    def _command(
        self,
        claim: Claim,
        left: Sequence[int],
        failed: Sequence[tuple[int, Failure]],
        *,
        handled: Collection[int],
        freed: Collection[int] = (),
        stay: Collection[int] = (),
        full: bool,
    ) -> Command:
        """All by position: given back, failed, ids to store, ids to forget, still in flight."""
        place = _places(claim)
        failures: list[str | bytes | float] = []
        room = max(_LEAST_ERROR_CHARACTERS, _ERROR_CHARACTERS // max(1, len(failed)))
        for index, failure in failed:
            failures += (place[index], *self._verdict(claim, index, failure, room))
        # what only frees memory may run in a full Redis; the rest may only after a refusal, without what needs room
        only_frees = full or not (left or failures or handled)
        marks = [self._keys.once(claim.once[index]) for index in (*handled, *freed)]
        return (SETTLE_WHEN_FULL if only_frees else SETTLE).command(
            [claim.name, *self._companions, *marks],
            *self._head,
            int(full),
            len(place),
            len(handled),
            len(stay),
            *(place[index] for index in stay),
            len(left),
            *(place[index] for index in left),
            *failures,
        )

    def _verdict(self, claim: Claim, index: int, failure: Failure, room: int) -> Command:
        error, policy = failure.error, failure.policy or self._policy
        pauses = ",".join(str(int(1000 * pause)) for pause in exact_pauses(policy, error))
        verdict = "busy" if isinstance(error, BusyError) else "retry" if reason(error) == "failed" else "dead"
        try:
            level = read(claim.payloads[index], claim.max_bytes).priority or 0
        except UnreadableError:
            level = 0
        times = (int(1000 * policy.backoff), int(1000 * policy.cap), pauses, random.random())  # noqa: S311 - jitter
        return (verdict, policy.attempts, *times, level, reason(error), describe(error)[:room])


def _places(claim: Claim) -> Mapping[int, int] | Sequence[int]:
    """The place in the list of each message that is still in it."""
    if not claim.parted:
        return range(len(claim))
    still = [index for index in range(len(claim)) if claim.status[index] != SETTLED]
    return {index: place for place, index in enumerate(still)}
