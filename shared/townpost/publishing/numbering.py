"""Running numbers for messages that have none: with (sender, epoch, count) without gaps, what is missing shows."""

from collections.abc import Sequence
from uuid import uuid4

from townpost.message import Message

__all__ = ["Numbering"]


class Numbering:
    """One sequence for each sender and each place messages go to, so that no listener sees the gaps of another's."""

    def __init__(self) -> None:
        self._sequences: dict[tuple[str, str], tuple[str, int]] = {}

    def number(self, messages: Sequence[Message], place: str) -> None:
        """Give each its number, unless its maker, or an earlier attempt to send it, has."""
        for message in messages:
            if message.numbered:
                continue
            key = (message.sender, place)
            epoch, count = self._sequences.get(key) or (uuid4().hex[:8], 0)
            self._sequences[key] = (epoch, count + 1)
            message.set_number(count + 1, epoch)
