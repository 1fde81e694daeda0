"""A claim, and how it ends."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared import keys
from shared.errors import UnreadableError
from shared.message import read
from shared.patterns.contract import Command
from shared.patterns.leased import LeasedBatch, describe, reason
from shared.patterns.reliable.scripts import SETTLE

__all__ = ["BusyError", "Claim", "Rules"]


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

    def __init__(self, name: str, payloads: Sequence[bytes], max_bytes: int, *, full: bool = False) -> None:
        super().__init__("reliable", name, payloads, max_bytes)
        self.full = full
        """As many as were asked for: there may be more."""
        self.once: Mapping[int, str] = {}
        """Ids to be remembered once handled, by position."""

    def settlement(self, queue: str, by: str, rules: Rules) -> Command:
        """The command that ends the claim; see settle.lua."""
        left = self.open
        handled = set(self.once) - set(left) - {index for index, _ in self.failed}
        failures: list[str | bytes | float] = []
        for index, error in self.failed:
            failures += (index, *self._verdict(index, error))
        return SETTLE.command(
            [
                self.name,
                keys.leases(queue),
                queue,
                keys.scheduled(queue),
                keys.attempts(queue),
                keys.crashes(queue),
                keys.history(queue),
                keys.dead(queue),
                *(keys.once(queue, self.once[index]) for index in handled),
            ],
            rules.max_attempts,
            int(rules.backoff * 1000),
            int(rules.backoff_cap * 1000),
            by,
            max(1, int(rules.remember * 1000)),
            len(left),
            *left,
            *failures,
        )

    def _verdict(self, index: int, error: Exception) -> tuple[str, float, int, str, str]:
        if isinstance(error, UnreadableError):
            return ("dead", 0, 0, reason(error), describe(error))
        verdict = "busy" if isinstance(error, BusyError) else "retry"
        try:
            level = read(self.payloads[index], self.max_bytes).priority or 0
        except UnreadableError:
            level = 0
        return (verdict, random.random(), level, reason(error), describe(error))  # noqa: S311 - jitter
