"""The messages of one claim."""

from collections.abc import Mapping
from types import MappingProxyType

from townpost.patterns.leased import LeasedBatch

__all__ = ["BusyError", "Claim"]


class BusyError(Exception):
    """Another consumer is handling a message with this id right now."""


class Claim(LeasedBatch):
    """The messages of one claim list."""

    more = False
    """As many as were asked for: there may be more."""
    once: Mapping[int, str] = MappingProxyType({})
    """Ids to be remembered once handled, by position."""
    attempts: Mapping[int, int] = MappingProxyType({})
    """How often the messages that were tried before have failed or crashed their consumer, by position."""

    def attempt(self, index: int) -> int:
        return self.attempts.get(index, 0) + 1
