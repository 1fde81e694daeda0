"""Which ids this process has seen lately: a duplicate is handled again, but never unnoticed."""

from uuid import UUID

__all__ = ["Seen"]

_GENERATION = 20_000


class Seen:
    """Remembers at least the last 20,000 ids, in at most twice that room."""

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._old: set[int] = set()

    def again(self, message_id: UUID) -> bool:
        """Whether it was seen before; from now on it was."""
        number = message_id.int  # UUID's own hash and comparison are Python code
        if number in self._young or number in self._old:
            return True
        self._young.add(number)
        if len(self._young) >= _GENERATION:
            self._old, self._young = self._young, set()
        return False
