"""A claim, and how it ends."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from townpost import keys
from townpost.errors import UnreadableError
from townpost.message import read, too_long
from townpost.patterns.contract import Command
from townpost.patterns.leased import LeasedBatch, describe, reason
from townpost.patterns.reliable.scripts import SETTLE, SETTLE_WHEN_FULL

__all__ = ["BusyError", "Claim", "Rules"]


_ERROR_CHARACTERS = 256 * 1024
"""Of all errors of one settlement: Redis may have no room for 1,000 long ones."""
_LEAST_ERROR_CHARACTERS = 100


class BusyError(Exception):
    """Another consumer is handling a message with this id right now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What becomes of a message that failed; times in seconds."""

    max_attempts: int
    backoff: float
    backoff_cap: float
    remember: float


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

    def settlement(self, queue: str, by: str, rules: Rules) -> Command:
        """The command that ends the claim; see settle.lua."""
        left = self.open
        handled = set(self.once) - set(left) - {index for index, _ in self.failed}
        failures: list[str | bytes | float] = []
        room = max(_LEAST_ERROR_CHARACTERS, _ERROR_CHARACTERS // max(1, len(self.failed)))
        for index, error in self.failed:
            failures += (index, *self._verdict(index, error, room))
        # what only frees is done although Redis is full; all else is tried without room only after a refusal
        only_frees = self.full or not (left or failures or handled)
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
                *(keys.once(queue, self.once[index]) for index in handled),
            ],
            rules.max_attempts,
            int(rules.backoff * 1000),
            int(rules.backoff_cap * 1000),
            by,
            max(1, int(rules.remember * 1000)),
            int(self.full),
            len(left),
            *left,
            *failures,
        )

    def _verdict(self, index: int, error: Exception, room: int) -> tuple[str, float, int, str, str]:
        if isinstance(error, UnreadableError):
            return ("dead", 0, 0, reason(error), describe(error)[:room])
        verdict = "busy" if isinstance(error, BusyError) else "retry"
        try:
            level = read(self.payloads[index], self.max_bytes).priority or 0
        except UnreadableError:
            level = 0
        return (verdict, random.random(), level, reason(error), describe(error)[:room])  # noqa: S311 - jitter
