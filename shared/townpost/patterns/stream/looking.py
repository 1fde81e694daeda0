"""Looks after what nobody has in flight: what is due, what was given back, and what dead members left behind.

Three decisions, each so that a look costs the same whatever is pending:

* A member's lease is the time since its last sign of life, which Redis keeps for each member (XINFO CONSUMERS) and
  shows without reading what is pending; reading starts it in the same step. So no key can disagree with who holds what.
* What is due stands in a sorted set of ids; the entries themselves stay pending, so that trimming spares them, and
  whatever becomes of the set, nothing is lost.
* Members wait for the stream and for `wake` with one XREADGROUP. Of those that wait exactly one reads the entry that
  says that something will be due, looks, and waits until then; if something comes between, it wakes the next. The
  others look every two or three seconds, or at the pace of shorter leases.

Times are the server's clock, which may jump. A member knows from its own clock what TIME should be; if it is not, all
get a lease from now on before anything is taken from anybody.
"""

import time
from dataclasses import dataclass

from townpost import keys
from townpost.patterns.stream.scripts import TAKE, WAITING
from townpost.redis.connection import Command, Reply

__all__ = ["Look", "Taken"]

_LOOK_SECONDS = 2.0
"""How often a member looks that has seen something pending lately, unless leases are shorter; less often else."""
_LEAST_LOOK_SECONDS = 0.5
_IDLE_FACTOR = 1.5
_SLACK_SECONDS = 5.0
_MOST = 256


@dataclass(frozen=True, slots=True)
class Taken:
    """Ids, all handed out so often before, and whether they were a dead member's."""

    ids: list[bytes]
    before: int
    from_dead: bool
    malformed: int


class Look:
    """When to look, and with what."""

    def __init__(self, stream: str, group: str, lease: float) -> None:
        self._keys = [stream, keys.retries(stream, group), keys.wake(stream, group)]
        self._group = group
        self._lease = lease
        self._every = min(_LOOK_SECONDS, max(_LEAST_LOOK_SECONDS, lease))
        self._slack = min(_SLACK_SECONDS, max(0.1, lease / 3))
        self._offset: float | None = None
        """TIME less our monotonic clock, in ms."""
        self._recover_from = 0.0
        self._cursor = b"-"
        self._dead_first = False
        self._woken = False
        self._read: list[bytes] = []
        self._sent = 0.0
        self.at = 0.0
        """By the monotonic clock."""

    def opened(self) -> None:
        """A new connection, maybe to another server: what others hold is theirs until they could renew it."""
        self._recover_from = time.monotonic() + min(self._lease, 3.0)
        self.at = 0.0

    def wake(self, read: list[bytes]) -> None:
        """We read this of the wake stream: it is for us to look."""
        self._read += read[:_MOST]
        self._woken = True
        self.at = 0.0

    def soon(self) -> None:
        """Something is pending now."""
        self.at = min(self.at, time.monotonic() + self._every)

    @property
    def promised(self) -> bool:
        """Whether others rely on us to look when the next is due."""
        return self._woken

    def passed_on(self) -> None:
        """Somebody else was woken."""
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
