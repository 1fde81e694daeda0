"""How far the index got, by the numbers of the changes: they have no gaps, so a gap is something missed."""

from collections.abc import Iterable

__all__ = ["Progress"]

_MOST_AHEAD = 10_000


class Progress:
    """Every change up to the cursor is in the index; of those beyond it, some may be."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self._ahead: set[int] = set()
        self._overflowed = False

    @property
    def gap(self) -> bool:
        """Whether a change beyond the cursor came, and one before it did not."""
        return bool(self._ahead) or self._overflowed

    def has(self, change: int) -> bool:
        return change <= self.cursor or change in self._ahead

    def saved(self, changes: Iterable[int]) -> None:
        """These are in the index."""
        self._ahead.update(change for change in changes if change > self.cursor)
        self._advance()
        if len(self._ahead) > _MOST_AHEAD:
            self._ahead.clear()  # healing asks for everything after the cursor in any case
            self._overflowed = True

    def reach(self, cursor: int) -> None:
        """Everything up to here is in the index."""
        self.cursor = max(self.cursor, cursor)
        self._ahead = {change for change in self._ahead if change > self.cursor}
        self._overflowed = False
        self._advance()

    def end_at(self, last: int) -> None:
        """Note that no later change exists: an event of a later one came from another program."""
        self._ahead = {change for change in self._ahead if change <= last}

    def _advance(self) -> None:
        while self.cursor + 1 in self._ahead:
            self.cursor += 1
            self._ahead.remove(self.cursor)
