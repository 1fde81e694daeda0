"""What of one list of messages has yet to be sent, and where: Redis may take some patterns, or some messages."""

from collections.abc import Sequence

from townpost.message import Message

__all__ = ["Remainder"]


class Remainder:
    """`part` is to be sent next, on `missing`; then one of `sent`, `half_sent` and `fits` says how that went."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._done = 0
        self._end = len(messages)
        """Of the part."""
        self._half = 0
        """Up to here some patterns have the messages."""
        self.missing: tuple[str, ...] | None = None
        """The patterns that do not have the part; None for all of them."""

    @property
    def part(self) -> Sequence[Message]:
        return self._messages[self._done : self._end]

    def sent(self) -> None:
        self._done = self._end
        if self._done >= self._half:
            self.missing = None
        self._end = self._half if self.missing else len(self._messages)

    def half_sent(self, missing: tuple[str, ...]) -> None:
        """The part was sent, but not on these."""
        self.missing = missing
        self._half = max(self._half, self._end)

    def fits(self, room: int) -> bool:
        """There is room for so many: whether that makes the part smaller, so that it can be sent."""
        if not 0 < room < self._end - self._done:
            return False
        self._end = self._done + room
        return True
