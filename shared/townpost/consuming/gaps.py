"""Which messages a listener never heard, from the running numbers of (sender, epoch).

Only for patterns where everyone hears everything: there a jump in the numbers is loss.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from townpost.message import Message

__all__ = ["Gap", "GapWatch"]

_SENDERS = 10_000
_BELIEVABLE = 10_000_000
"""A jump beyond this is a sender that counts in its own way, or lies."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers `first` to `last` of one sender that were not heard."""

    sender: str
    first: int
    last: int
    certain: bool = True
    """Whether the sender gave an epoch; without one, two senders of the same name look like a gap."""

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        numbers = f"#{self.first}" if self.size == 1 else f"#{self.first} to #{self.last}"
        return f"{numbers} of {self.sender}"


class GapWatch:
    """Remembers the highest number of each sender, the longest silent one forgotten first."""

    def __init__(self) -> None:
        self._highest: OrderedDict[tuple[str, str | None], int] = OrderedDict()
        self._last: tuple[str | None, str | None] = (None, None)
        self._expected = 0
        """What the sender that was heard last will most likely say next."""

    def hear(self, message: Message) -> Gap | None:
        """The gap this message shows, if any.

        The first message of a sender shows none: what came before it was sent before we listened. A number
        that comes again or late shows none either; without an epoch a 1 is the sender's new start.
        """
        count = message.count
        sender, epoch = self._last
        if count == self._expected and message.epoch == epoch and message.sender == sender:
            self._expected = count + 1
            return None
        if sender is not None:
            self._highest[sender, epoch] = self._expected - 1
            self._highest.move_to_end((sender, epoch))
        gap = self._compare(message)
        self._last = (message.sender, message.epoch)
        self._expected = self._highest[message.sender, message.epoch] + 1
        return gap

    def expects(self, messages: Sequence[object]) -> bool:
        """Whether all of them go on where the last one ended: then they are heard, and show no gap."""
        sender, epoch = self._last
        expected = self._expected
        for message in messages:
            if type(message) is not Message or message.count != expected:
                return False
            if message.sender != sender or message.epoch != epoch:
                return False
            expected += 1
        self._expected = expected
        return True

    def _compare(self, message: Message) -> Gap | None:
        key = (message.sender, message.epoch)
        count = message.count
        before = self._highest.get(key)
        if before is None:
            self._highest[key] = count
            if len(self._highest) > _SENDERS:
                self._highest.popitem(last=False)
            return None
        self._highest.move_to_end(key)
        if count > before or (count == 1 and message.epoch is None):
            self._highest[key] = count
        if not before + 1 < count <= before + _BELIEVABLE:
            return None
        return Gap(message.sender, before + 1, count - 1, certain=message.epoch is not None)
