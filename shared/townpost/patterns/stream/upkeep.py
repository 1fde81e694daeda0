"""Renews the lease of a member, and gives back entries that overrun; in the renewer's thread."""

import logging
from collections.abc import Collection, Mapping, Sequence

from townpost.errors import FullError
from townpost.patterns.leased import LeasedBatch
from townpost.patterns.stream.entries import Entries
from townpost.patterns.stream.scripts import RENEW
from townpost.patterns.stream.settlement import Settlement
from townpost.redis.connection import Connection

__all__ = ["EntriesUpkeep"]


class EntriesUpkeep:
    """Implements `townpost.patterns.lease_renewer.Upkeep`."""

    def __init__(self, stream: str, group: str, settlement: Settlement) -> None:
        self._stream = stream
        self._group = group
        self._settlement = settlement
        self._log = logging.getLogger("townpost.stream")

    def renew(self, connection: Connection, held: Mapping[str, LeasedBatch]) -> Collection[str]:
        lost = []
        for name, batch in held.items():
            if not isinstance(batch, Entries) or name != batch.name:
                continue
            ids = batch.ids
            reply = connection.call(*RENEW.whole([self._stream], self._group, batch.by, ids[0], ids[-1], len(ids)))
            if isinstance(reply, int) and reply < batch.held and not batch.settling:
                self._log.warning(
                    "others have %d of %d messages in flight here: the lease had run out (LEASE_SECONDS); "
                    "nothing more of them is begun",
                    batch.held - reply,
                    batch.held,
                )
                lost.append(name)
        return lost

    def split(self, connection: Connection, batch: LeasedBatch, first: int, ahead: Sequence[str]) -> Collection[str]:  # noqa: ARG002 - LeasedUpkeep's signature; a stream has nothing ahead
        """Give back the unanswered entries from this position on. Running it twice changes nothing more."""
        if isinstance(batch, Entries):
            ids = [batch.ids[index] for index in batch.open if index >= first]
            batch.held -= len(ids)
            try:
                if ids:
                    connection.call(*self._settlement.returning(batch, ids))
            except FullError:
                batch.held += len(ids)  # Redis has no room to store that they are free
        return ()
