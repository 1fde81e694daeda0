"""Gives numbers to messages that have none: (sender, epoch, count) without gaps shows which messages are missing."""

from collections import OrderedDict
from collections.abc import Sequence
from uuid import uuid4

from townpost.message import Message

__all__ = ["Numbering"]

_MOST = 1_000
"""How many sequences are remembered."""


class Numbering:
    """One sequence for each sender and each place messages go to, so that no listener sees the gaps of another's."""

    def __init__(self) -> None:
        self._sequences: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()

    def number(self, messages: Sequence[Message], place: str) -> list[Message]:
        """Give each its number, unless its maker, or an earlier attempt to send it, has; those that got one."""
        numbered = []
        for message in messages:
            if message.numbered:
                continue
            key = (message.sender, place)
            epoch, count = self._sequences.get(key) or (uuid4().hex[:8], 0)
            self._sequences[key] = (epoch, count + 1)
            message.set_number(count + 1, epoch)
            numbered.append(message)
            if not count:
                self._forget_oldest()
        return numbered

    def take_back(self, numbered: Sequence[Message], place: str) -> None:
        """These, which `number` has just returned, were not sent after all: their numbers must not be missed."""
        for message in numbered:
            key = (message.sender, place)
            if key not in self._sequences:
                continue
            epoch, count = self._sequences[key]
            self._sequences[key] = (epoch, count - 1)
            message.clear_number()

    def _forget_oldest(self) -> None:
        """Forget the oldest: a program may use a new name for each send. A forgotten one begins a new epoch."""
        while len(self._sequences) > _MOST:
            self._sequences.popitem(last=False)
