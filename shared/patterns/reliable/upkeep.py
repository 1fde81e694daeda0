"""What the keeper's thread does for the claims a consumer holds: renew their leases, give back what overruns."""

import time
from collections.abc import Collection, Mapping, Sequence

import hiredis

from shared import keys
from shared.connection import Link
from shared.patterns.leased import LeasedBatch
from shared.patterns.reliable.claims import Claim
from shared.patterns.reliable.recovery import Recovery
from shared.patterns.reliable.scripts import SPLIT

__all__ = ["ClaimUpkeep"]


class ClaimUpkeep:
    """Implements `shared.patterns.keeper.Upkeep`."""

    def __init__(self, queue: str, recovery: Recovery, *, once_ms: int) -> None:
        """Nothing is sent.

        Args:
            queue: of the claims.
            recovery: for the keeper's thread alone.
            once_ms: that the mark of an id in flight lives without a renewal.
        """
        self._queue = queue
        self._recovery = recovery
        self._once_ms = once_ms
        self._marked_at = time.monotonic()

    def renew(self, link: Link, held: Mapping[str, LeasedBatch]) -> Collection[str]:
        lost = self._recovery.renew(link, held)
        if time.monotonic() - self._marked_at > self._once_ms / 3000:
            self._marked_at = time.monotonic()
            for name, batch in held.items():
                if isinstance(batch, Claim) and name == batch.name and name not in lost:
                    self._renew_marks(link, batch)
        return lost

    def _renew_marks(self, link: Link, claim: Claim) -> None:
        marks = [keys.once(self._queue, claim.once[index]) for index in claim.once]
        if marks:
            link.pipeline([("PEXPIRE", mark, self._once_ms) for mark in marks])

    def split(self, link: Link, batch: LeasedBatch, first: int, ahead: Sequence[str]) -> Collection[str]:
        queue = self._queue
        names = [queue, keys.leases(queue), batch.name, *ahead]
        if isinstance(batch, Claim):
            names += [keys.once(queue, message_id) for index, message_id in batch.once.items() if index >= first]
        reply = link.call(*SPLIT.whole(names, len(batch), min(first, len(batch)), len(ahead)))
        if not isinstance(reply, list) or any(isinstance(one, hiredis.ReplyError) for one in reply):
            raise TypeError(f"split.lua answered {reply!r}")
        return {name for name, given in zip(ahead, reply[1:], strict=True) if isinstance(given, int) and given >= 0}
