"""The messages of one claim."""

from collections.abc import Mapping, Sequence

from townpost.message import too_long
from townpost.patterns.leased import LeasedBatch

__all__ = ["BusyError", "Claim"]


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
