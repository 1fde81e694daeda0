"""Looks after the claims of consumers that are gone: every live consumer does, no one is elected."""

import logging
from collections.abc import Iterable, Sequence

from shared import keys
from shared.connection import Link
from shared.patterns.reliable.scripts import RECOVER, RENEW

__all__ = ["Recovery"]


class Recovery:
    """For one thread; what it counts may be read by any."""

    def __init__(self, queue: str, *, lease: float, max_crashes: int, by: str) -> None:
        self.recovered = 0
        self.died = 0
        self._queue = queue
        self._lease_ms = int(lease * 1000)
        self._max_crashes = max_crashes
        self._by = by
        self._log = logging.getLogger("townpost.reliable")

    def renew(self, link: Link, names: Iterable[str]) -> None:
        """Extend the leases of these claims, and take over what has expired."""
        expired = link.call(*RENEW.whole([keys.leases(self._queue)], self._lease_ms, *names))
        if isinstance(expired, list):
            self.take_over(link, [name.decode() for name in expired if isinstance(name, bytes)])

    def take_over(self, link: Link, names: Sequence[str]) -> None:
        """The messages of these claims, if they have expired, become suspects, or dead."""
        if not names:
            return
        queue = self._queue
        companions = [
            keys.leases(queue),
            keys.suspects(queue),
            keys.crashes(queue),
            keys.attempts(queue),
            keys.history(queue),
            keys.dead(queue),
        ]
        reply = link.call(*RECOVER.whole([*companions, *names], self._max_crashes, self._by))
        match reply:
            case [int(recovered), int(died)] if recovered or died:
                self.recovered += recovered
                self.died += died
                self._log.warning("a consumer is gone: %d of its messages go out again, %d are dead", recovered, died)
