"""A claim, and how it ends."""

import random
from collections.abc import Mapping, Sequence

from townpost import keys
from townpost.errors import UnreadableError
from townpost.message import read, too_long
from townpost.patterns.contract import Command
from townpost.patterns.leased import LeasedBatch, Part
from townpost.patterns.reliable.scripts import SETTLE, SETTLE_WHEN_FULL
from townpost.verdicts import Policy, describe, exact_pauses, reason

__all__ = ["BusyError", "Claim"]


_ERROR_CHARACTERS = 256 * 1024
"""Of all errors of one settlement: Redis may have no room for 1,000 long ones."""
_LEAST_ERROR_CHARACTERS = 100


class BusyError(Exception):
    """Another consumer is handling a message with this id right now."""


class Claim(LeasedBatch):
    """The messages of one claim list."""

    def __init__(self, name: str, found: Sequence[bytes | int], max_bytes: int, *, full: bool = False) -> None:
        """Nothing is sent.

        Args:
            name: of the list.
            found: its payloads, and for each that is too long only its size.
            max_bytes: of a message.
            full: as many as were asked for: there may be more.
        """
        super().__init__("reliable", name, [one if type(one) is bytes else b"" for one in found], max_bytes)
        if int in set(map(type, found)):  # rare, and this is the quickest way to know
            self.problems = {index: too_long(one, max_bytes) for index, one in enumerate(found) if type(one) is int}
        self.more = full
        self.once: Mapping[int, str] = {}
        """Ids to be remembered once handled, by position."""
        self.attempts: Mapping[int, int] = {}
        """How often the messages that were tried before have failed or crashed their consumer, by position."""

    def attempt(self, index: int) -> int:
        return self.attempts.get(index, 0) + 1

    def settlement(self, queue: str, by: str, policy: Policy, remember: float, part: Part | None = None) -> Command:
        """The command that ends the claim, or a part of it; see settle.lua.

        Args:
            queue: of the claim.
            by: who settles.
            policy: for those that failed, unless their handler has one of its own.
            remember: seconds for ids that are handled once.
            part: None ends the claim.
        """
        left = self.open if part is None else part.returned
        failed = self.failed if part is None else part.failed
        handled = set(self.once) - set(left) - {index for index, _ in self.failed} - self.gone
        stay: list[int] = []
        freed: list[int] = []
        if part is not None:
            leaving = {*part.acked, *left, *(index for index, _ in failed)}
            stay = [index for index in range(len(self)) if index not in leaving and index not in self.gone]
            handled &= set(part.acked)
            freed = [index for index in (*left, *(index for index, _ in failed)) if index in self.once]
        place: Mapping[int, int] | Sequence[int] = self._places() if self.gone else range(len(self))
        failures: list[str | bytes | float] = []
        room = max(_LEAST_ERROR_CHARACTERS, _ERROR_CHARACTERS // max(1, len(failed)))
        for index, error in failed:
            failures += (place[index], *self._verdict(index, error, self.policies.get(index, policy), room))
        full = self.full if part is None else part.full
        # what only frees is done although Redis is full; all else is tried without room only after a refusal
        only_frees = full or not (left or failures or handled)
        return (SETTLE_WHEN_FULL if only_frees else SETTLE).command(
            [
                self.name,
                keys.leases(queue),
                queue,
                keys.scheduled(queue),
                keys.attempts(queue),
                keys.crashes(queue),
                keys.history(queue),
                keys.dead(queue),
                keys.counted(queue),
                keys.bell(queue),
                *(keys.once(queue, self.once[index]) for index in (*handled, *freed)),
            ],
            by,
            max(1, int(remember * 1000)),
            int(full),
            len(place),
            len(handled),
            len(stay),
            *(place[index] for index in stay),
            len(left),
            *(place[index] for index in left),
            *failures,
        )

    def _places(self) -> dict[int, int]:
        """Where in the list each message lies that has not left it."""
        still = [index for index in range(len(self)) if index not in self.gone]
        return {index: place for place, index in enumerate(still)}

    def _verdict(self, index: int, error: Exception, policy: Policy, room: int) -> Command:
        pauses = ",".join(str(int(1000 * pause)) for pause in exact_pauses(policy, error))
        verdict = "busy" if isinstance(error, BusyError) else "retry" if reason(error) == "failed" else "dead"
        try:
            level = read(self.payloads[index], self.max_bytes).priority or 0
        except UnreadableError:
            level = 0
        times = (int(1000 * policy.backoff), int(1000 * policy.cap), pauses, random.random())  # noqa: S311 - jitter
        return (verdict, policy.attempts, *times, level, reason(error), describe(error)[:room])
