"""Running numbers for messages that have none: with (sender, epoch, count) without gaps, what is missing shows."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from uuid import uuid4

from townpost.message import Message

__all__ = ["Numbering"]

_MOST = 1_000
"""Sequences that are remembered."""


class Numbering:
    """One sequence for each sender and each place messages go to, so that no listener sees the gaps of another's."""

    def __init__(self) -> None:
        self._sequences: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()

    def number(self, messages: Sequence[Message], place: str) -> None:
        """Give each its number, unless its maker, or an earlier attempt to send it, has."""
        for message in messages:
            if message.numbered:
                continue
            key = (message.sender, place)
            epoch, count = self._sequences.get(key) or (uuid4().hex[:8], 0)
            self._sequences[key] = (epoch, count + 1)
            message.set_number(count + 1, epoch)
            if not count:
                self._forget_oldest()

    def take_back(self, messages: Sequence[Message], numbered: Collection[Message], place: str) -> None:
        """These were not sent after all: nobody is to miss the numbers that they got just now.

        Args:
            messages: the last that were numbered for this place.
            numbered: those of them that had a number before, which they keep.
            place: as in `number`.
        """
        for message in messages:
            key = (message.sender, place)
            if message in numbered or key not in self._sequences:
                continue
            epoch, count = self._sequences[key]
            self._sequences[key] = (epoch, count - 1)
            message.clear_number()

    def _forget_oldest(self) -> None:
        """Names may be made up for each send; one that comes again later begins a new epoch."""
        while len(self._sequences) > _MOST:
            self._sequences.popitem(last=False)
