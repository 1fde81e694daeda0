"""Which ids this process has seen lately: a duplicate is handled again, but never unnoticed."""

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
        """What the young were made of."""
        self._noted: deque[Sequence[int]] = deque()
        """Known to be new, and not yet among the young."""
        self._notes = 0

    def note(self, ids: Sequence[int]) -> None:
        """These are new, as the caller knows. A set is made of them only when somebody asks: a fifth of `again`."""
        self._noted.append(ids)
        self._notes += len(ids)
        while self._notes - len(self._noted[0]) >= _GENERATION:
            self._notes -= len(self._noted.popleft())

    def again(self, ids: Sequence[int]) -> list[int]:
        """The places of those that were seen before, also earlier among these; from now on all were."""
        while self._noted:
            noted = self._noted.popleft()
            self._young.update(noted)
            self._keep(noted)
        self._notes = 0
        known = len(self._young)
        self._young.update(ids)
        # nearly always all are new: then one set has grown by so many, and that is all
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
