"""Builds the commands that request a claim, and reads their replies; see claim.lua, adopt.lua and look.lua."""

import itertools
from typing import NamedTuple, cast

from townpost.keys import AHEAD, QueueKeys
from townpost.message import too_long
from townpost.patterns.reliable.bounds import SCRIPT_BYTES
from townpost.patterns.reliable.claims import Claim
from townpost.patterns.reliable.forwarder import TRUSTED_MS
from townpost.patterns.reliable.recovery import grace_ms
from townpost.patterns.reliable.scripts import ADOPT, CLAIM, LOOK
from townpost.redis.connection import Command, Reply

__all__ = ["Answer", "Claiming", "Turns"]

_PLAIN_SHARE = 10
"""One of so many messages comes from the list even if urgent ones wait."""
_ONE_IN_FLIGHT, _NO_SUSPECT, _SUSPECT_ALONE = 1, 2, 3
"""The mode of a request; 0: nothing is in flight. The last two are for many batches in flight."""
_IS_SUSPECT, _SUSPECTS_WAIT = 1, 2
"""What the last figure of the reply means."""


class Turns:
    """What the next claim takes first, so that neither urgent messages nor suspects starve the others."""

    def __init__(self) -> None:
        self.suspects = True
        """Whether the next claim takes a suspect if there is one: every other claim does."""
        self._credit = 0

    def plain(self, limit: int) -> int:
        """How many of ``limit`` messages come from the list, even if more are urgent."""
        self._credit += limit
        share, self._credit = divmod(self._credit, _PLAIN_SHARE)
        return share

    def took(self, *, suspect: bool) -> None:
        self.suspects = not suspect


class Answer(NamedTuple):
    """The reply of claim.lua."""

    claim: Claim | None
    wait: float = 0
    """ms until the next lease must be checked; -1 if there is none."""
    expired: tuple[bytes, ...] = ()
    """Names of claims to recover."""
    forward: bool = False
    """This consumer is now the forwarder."""


class Claiming:
    """Requests the claims of one consumer, and names them."""

    def __init__(self, keys: QueueKeys, consumer: str, *, lease: float, max_bytes: int) -> None:
        """Nothing is sent.

        Args:
            keys: of the queue.
            consumer: its name.
            lease: seconds.
            max_bytes: of a message; of a longer one Redis sends only the size.
        """
        k = self._keys = keys
        self._max_bytes = max_bytes
        self._lease_ms = int(lease * 1000)
        self._numbers = itertools.count(1)
        self._claim = (
            (*CLAIM.head(8), k.queue, k.handoff),
            (k.leases, k.priority, k.scheduled, k.suspects, k.forwarder),
        )
        self._bounds = (self._lease_ms, grace_ms(lease), SCRIPT_BYTES, max_bytes)
        self._end = (consumer, TRUSTED_MS)
        self._adopt = (*ADOPT.head(3), k.handoff)
        self._prefix = k.claims_of(consumer)
        self.many_in_flight = False
        """The consumer has several batches in flight."""
        self.suspects_wait = False
        """Suspects wait while other batches are in flight; one suspect at a time is taken beside these."""
        self.suspect = ""
        """The name of the claim of the last suspect."""
        self._turns = Turns()

    def ask(self, limit: int, *, ahead: bool, suspect_in_flight: bool) -> tuple[str, Command]:
        """The name of a claim of at most ``limit`` messages, and the command that makes it."""
        mode = int(ahead)
        if self.many_in_flight:
            mode = _SUSPECT_ALONE if self.suspects_wait and not suspect_in_flight else _NO_SUSPECT
        # its name tells that no message of it is to blame for a crash beside it
        name = self._name(ahead=mode in {_ONE_IN_FLIGHT, _NO_SUSPECT})
        first, others = self._claim
        turns = (mode, self._turns.plain(limit), int(self._turns.suspects))
        return name, (*first, name, *others, limit, *self._bounds, *turns, *self._end)

    def answered(self, name: str, limit: int, reply: Reply, leased_until: float) -> Answer:
        """Read the reply to `ask`."""
        match reply:
            case [int(wait), list(expired), list(found), int(forward), int(suspect)]:
                pass
            case _:
                raise TypeError(f"claim.lua answered {reply!r}")
        self._turns.took(suspect=suspect == _IS_SUSPECT)
        self.suspects_wait = suspect == _SUSPECTS_WAIT
        if suspect == _IS_SUSPECT:
            self.suspect = name
        claim = self.made(name, found, leased_until)
        if claim is not None:
            claim.more = len(found) >= limit
        names = tuple([one for one in expired if isinstance(one, bytes)]) if expired else ()
        return Answer(claim, wait, names, bool(forward))

    def adopt(self) -> tuple[str, Command]:
        """The name of the claim for the message that wakes this consumer, and the command that makes it."""
        name = self._name(ahead=self.many_in_flight)
        return name, (*self._adopt, name, self._keys.leases, self._lease_ms, self._max_bytes)

    def look(self, name: str) -> Command:
        """The command that looks up whether this claim was made."""
        return LOOK.command([name, self._keys.leases], self._max_bytes, self._lease_ms)

    def made(self, name: str, found: Reply, leased_until: float) -> Claim | None:
        """A claim with these payloads; None if there are none."""
        if not isinstance(found, list) or not found:
            return None
        # to test the type of each one here would cost as much as everything else about taking a message
        sized = cast("list[bytes | int]", found)
        payloads = [one if type(one) is bytes else b"" for one in sized]
        claim = Claim("reliable", name, payloads, self._max_bytes)
        if int in set(map(type, sized)):  # rare, and this is the fastest test
            claim.problems = {n: too_long(one, self._max_bytes) for n, one in enumerate(sized) if type(one) is int}
        claim.leased_until = leased_until
        claim.at_once = self.many_in_flight
        return claim

    def _name(self, *, ahead: bool) -> str:
        """The same name as `QueueKeys.claim` makes."""
        return f"{self._prefix}{next(self._numbers)}{AHEAD if ahead else ''}"
