"""Remembers the ids that this process has received lately, so that a duplicate is handled again, but logged."""

from collections import deque
from collections.abc import Sequence

__all__ = ["Deduplicator"]

_GENERATION = 20_000


class Deduplicator:
    """Remembers at least the last 20,000 ids, in at most three times that room."""

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._batches: list[Sequence[int]] = []
        """The batches of ids from which the young set was made."""
        self._noted: deque[Sequence[int]] = deque()
        """Ids that are new, and not in the set of young ones yet."""
        self._notes = 0

    def note(self, ids: Sequence[int]) -> None:
        """Note ids that the caller knows to be new. They enter the set when `again` is called: a fifth of its cost."""
        self._noted.append(ids)
        self._notes += len(ids)
        while self._notes - len(self._noted[0]) >= _GENERATION:
            self._notes -= len(self._noted.popleft())

    def again(self, ids: Sequence[int]) -> list[int]:
        """The positions of ids that were seen before, also earlier in this list. All of them are seen from now on."""
        while self._noted:
            noted = self._noted.popleft()
            self._young.update(noted)
            self._keep(noted)
        self._notes = 0
        known = len(self._young)
        self._young.update(ids)
        # usually all are new: then it is enough that the set has grown by so many
        all_new = len(self._young) - known == len(ids) and self._old.isdisjoint(ids)
        places = [] if all_new else self._places(ids)
        self._keep(ids)
        return places

    def _keep(self, ids: Sequence[int]) -> None:
        self._batches.append(ids)
        if len(self._young) >= _GENERATION:
            self._old, self._young, self._batches = self._young, set(), []

    def _places(self, ids: Sequence[int]) -> list[int]:
        seen = self._old.union(*self._batches)
        places = list[int]()
        for place, number in enumerate(ids):
            if number in seen:
                places.append(place)
            seen.add(number)
        return places
