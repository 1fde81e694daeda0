"""Recovers the claims of lost consumers. Every live consumer does so; none is elected for it."""

import logging
from collections.abc import Collection, Iterable, Sequence

from townpost.counts import Counts
from townpost.errors import FullError
from townpost.keys import QueueKeys
from townpost.patterns.lease_renewer import renewal_pause
from townpost.patterns.reliable.bounds import SCRIPT_BYTES
from townpost.patterns.reliable.scripts import RECOVER, RECOVER_WHEN_FULL, RENEW
from townpost.redis.connection import Connection
from townpost.text import printable

__all__ = ["Recovery", "grace_ms"]


def grace_ms(lease: float) -> int:
    """How many ms before its end a lease is marked: its consumer renews it at least once in that time."""
    return int(2000 * renewal_pause(lease))


class Recovery:
    """Any thread may use it, with a connection of its own."""

    def __init__(self, keys: QueueKeys, counts: Counts, *, lease: float, max_crashes: int, by: str) -> None:
        self._keys = keys
        self._counts = counts
        self._lease_ms = int(lease * 1000)
        self._grace_ms = grace_ms(lease)
        self._max_crashes = max_crashes
        self._by = by
        self._log = logging.getLogger("townpost.reliable")

    def renew(self, connection: Connection, names: Iterable[str]) -> Collection[str]:
        """Extend the leases of these claims, and recover expired claims of others. Returns which of these are lost."""
        reply = connection.call(*RENEW.whole([self._keys.leases], self._lease_ms, self._grace_ms, *names))
        match reply:
            case [list(expired), list(lost)]:
                self.take_over(connection, [name for name in expired if isinstance(name, bytes)])
                return {name.decode() for name in lost if isinstance(name, bytes)}
        raise TypeError(f"renew.lua answered {reply!r}")

    def take_over(self, connection: Connection, names: Sequence[bytes]) -> None:
        """Make the messages of these claims, if they have expired, suspects or dead letters."""
        if not names:
            return
        k = self._keys
        companions = (k.leases, k.suspects, k.crashes, k.attempts, k.history, k.dead, k.counted, k.queue, k.handoff)
        arguments = (self._max_crashes, self._by, k.claims, SCRIPT_BYTES)
        try:
            reply = connection.call(*RECOVER.whole([*companions, *names], *arguments, 0))
        except FullError:
            reply = connection.call(*RECOVER_WHEN_FULL.whole([*companions, *names], *arguments, 1))
        match reply:
            case [int(recovered), int(died), int(foreign)]:
                self._counts.add(recovered=recovered, dead=died)
                if recovered or died:
                    self._log.warning(
                        "recovered %d messages of a lost consumer of %s, %d dead-lettered",
                        *(recovered, printable(k.queue), died),
                    )
                if foreign:
                    self._log.warning("%s held %d members that are no claims: removed", k.leases, foreign)
