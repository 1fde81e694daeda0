"""Renews the leases of the claims that a consumer holds, and splits those that overrun; in the renewer's thread."""

import time
from collections.abc import Collection, Mapping, Sequence

import hiredis

from townpost.keys import QueueKeys
from townpost.patterns.leased import LeasedBatch
from townpost.patterns.reliable.claims import Claim
from townpost.patterns.reliable.recovery import Recovery
from townpost.patterns.reliable.scripts import SPLIT
from townpost.redis.connection import Connection

__all__ = ["ClaimUpkeep"]


class ClaimUpkeep:
    """Implements `townpost.patterns.lease_renewer.Upkeep`."""

    def __init__(self, keys: QueueKeys, recovery: Recovery, *, once_ms: int) -> None:
        """Nothing is sent.

        Args:
            keys: of the queue.
            recovery: recovers claims that are not renewed.
            once_ms: how long the mark of an id in flight lives without a renewal.
        """
        self._keys = keys
        self._recovery = recovery
        self._once_ms = once_ms
        self._marked_at = time.monotonic()

    def renew(self, connection: Connection, held: Mapping[str, LeasedBatch]) -> Collection[str]:
        lost = self._recovery.renew(connection, held)
        if time.monotonic() - self._marked_at > self._once_ms / 3000:
            self._marked_at = time.monotonic()
            for name, batch in held.items():
                if isinstance(batch, Claim) and name == batch.name and name not in lost:
                    self._renew_marks(connection, batch)
        return lost

    def _renew_marks(self, connection: Connection, claim: Claim) -> None:
        marks = [self._keys.once(claim.once[index]) for index in claim.once]
        if marks:
            connection.pipeline([("PEXPIRE", mark, self._once_ms) for mark in marks])

    def split(self, connection: Connection, batch: LeasedBatch, first: int, ahead: Sequence[str]) -> Collection[str]:
        names = [self._keys.queue, self._keys.leases, batch.name, *ahead]
        if isinstance(batch, Claim):
            names += [self._keys.once(message_id) for index, message_id in batch.once.items() if index >= first]
        reply = connection.call(*SPLIT.whole(names, len(batch), min(first, len(batch)), len(ahead)))
        if not isinstance(reply, list) or any(isinstance(one, hiredis.ReplyError) for one in reply):
            raise TypeError(f"split.lua answered {reply!r}")
        return {name for name, given in zip(ahead, reply[1:], strict=True) if isinstance(given, int) and given >= 0}
