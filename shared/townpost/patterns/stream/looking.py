"""Decides when a member looks for pending entries to take over: due retries, returned entries, those of dead members.

Three decisions make a look cost the same however many entries are pending:

* A member's lease depends on the time since its last sign of life. Redis keeps this time for each member (XINFO
  CONSUMERS) and returns it without reading pending entries; a read restarts it in the same step, so no key contradicts
  it.
* A sorted set has the ids of entries with a due time. The entries themselves stay pending, so trimming keeps them, and
  nothing is lost if the set is.
* Members wait for the stream and for `wake` with one XREADGROUP. Exactly one waiting member reads the entry which
  says that something will be due; it looks, and waits until then. If it gets a message meanwhile, it wakes the next
  member. The others look every two or three seconds, or more often with shorter leases.

Times are moments of the server's clock, which may jump. A member computes from its own clock what TIME should be. If it
differs, every member gets a whole lease from now on before its entries are taken.
"""

import time
from dataclasses import dataclass

from townpost import keys
from townpost.patterns.stream.scripts import TAKE, WAITING
from townpost.redis.connection import Command, Reply

__all__ = ["Look", "Taken"]

_LOOK_SECONDS = 2.0
"""How often a member looks if entries were pending lately and leases are not shorter; otherwise it looks less often."""
_LEAST_LOOK_SECONDS = 0.5
_IDLE_FACTOR = 1.5
_SLACK_SECONDS = 5.0
_MOST = 256


@dataclass(frozen=True, slots=True)
class Taken:
    """Ids, how often all of them were delivered before, and whether a dead member had them."""

    ids: list[bytes]
    before: int
    from_dead: bool
    malformed: int


class Look:
    """When this member looks, and the arguments of the look."""

    def __init__(self, stream: str, group: str, lease: float) -> None:
        self._keys = [stream, keys.retries(stream, group), keys.wake(stream, group)]
        self._group = group
        self._lease = lease
        self._every = min(_LOOK_SECONDS, max(_LEAST_LOOK_SECONDS, lease))
        self._slack = min(_SLACK_SECONDS, max(0.1, lease / 3))
        self._offset: float | None = None
        """TIME minus our monotonic clock, in ms."""
        self._recover_from = 0.0
        self._cursor = b"-"
        self._dead_first = False
        self._woken = False
        self._read: list[bytes] = []
        self._sent = 0.0
        self.at = 0.0
        """By the monotonic clock."""

    def opened(self) -> None:
        """The connection is new, maybe to another server: other members get time to renew before anything is taken."""
        self._recover_from = time.monotonic() + min(self._lease, 3.0)
        self.at = 0.0

    def wake(self, read: list[bytes]) -> None:
        """This member read an entry of the wake stream, so it has to look."""
        self._read += read[:_MOST]
        self._woken = True
        self.at = 0.0

    def soon(self) -> None:
        """Note that something is pending now."""
        self.at = min(self.at, time.monotonic() + self._every)

    @property
    def promised(self) -> bool:
        """Whether this member watches the next due entry for all."""
        return self._woken

    def passed_on(self) -> None:
        """Note that another member was woken instead."""
        self._woken = False
        self.soon()

    def command(self, consumer: str, limit: int) -> Command:
        self._sent = time.monotonic()
        expected = "" if self._offset is None else int(self._sent * 1000 + self._offset)
        self._dead_first = not self._dead_first
        return TAKE.command(
            self._keys,
            self._group,
            consumer,
            WAITING,
            int(self._lease * 1000),
            min(limit, _MOST),
            expected,
            int(self._slack * 1000),
            int(self._sent >= self._recover_from),
            "dead" if self._dead_first else "due",
            self._cursor,
            int(self._woken),
            *self._read,
        )

    def answer(self, reply: Reply) -> Taken | None:
        match reply:
            case [int(now), int(wait), int(before), int(dead), bytes(cursor), int(malformed), list(ids)]:
                pass
            case _:
                raise TypeError(f"take.lua answered {reply!r}")
        self._offset = now - (self._sent + time.monotonic()) / 2 * 1000
        self._cursor = cursor
        self._read = []
        found = [entry_id for entry_id in ids if isinstance(entry_id, bytes)]
        self._woken = wait >= 0
        taken = Taken(found, before, bool(dead), malformed) if found or malformed else None
        self._plan(wait, anything=bool(found))
        return taken

    def _plan(self, wait: int, *, anything: bool) -> None:
        now = time.monotonic()
        if anything:
            self.at = 0.0
        else:
            self.at = now + self._every * _IDLE_FACTOR
            if now < self._recover_from:
                self.at = min(self.at, self._recover_from)
            if wait >= 0:
                self.at = min(self.at, now + wait / 1000)
