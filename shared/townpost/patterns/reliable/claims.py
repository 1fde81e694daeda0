"""The messages of one claim."""

from collections.abc import Mapping
from types import MappingProxyType

from townpost.patterns.leased import LeasedBatch

__all__ = ["BusyError", "Claim"]


class BusyError(Exception):
    """Another consumer is handling a message with this id."""


class Claim(LeasedBatch):
    """The messages of one claim list."""

    more = False
    """The claim has as many messages as were requested, so more may wait."""
    once: Mapping[int, str] = MappingProxyType({})
    """The ids to store when their messages are handled, by position."""
    attempts: Mapping[int, int] = MappingProxyType({})
    """How often a message failed or crashed its consumer before, by position; only messages that did."""

    def attempt(self, index: int) -> int:
        return self.attempts.get(index, 0) + 1
