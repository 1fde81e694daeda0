"""Which ids this process has seen lately: a duplicate is handled again, but never unnoticed."""

from collections.abc import Sequence

__all__ = ["Seen"]

_GENERATION = 20_000


class Seen:
    """Remembers at least the last 20,000 ids, in about twice that room.

    A batch at a time: where all are new, which is nearly always, one set grows by so many and that is all.
    """

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._batches: list[Sequence[int]] = []
        """What the young were made of."""

    def again(self, ids: Sequence[int]) -> list[int]:
        """The places of those that were seen before, also earlier among these; from now on all were."""
        known = len(self._young)
        self._young.update(ids)
        all_new = len(self._young) - known == len(ids) and self._old.isdisjoint(ids)
        places = [] if all_new else self._places(ids)
        self._batches.append(ids)
        if len(self._young) >= _GENERATION:
            self._old, self._young, self._batches = self._young, set(), []
        return places

    def _places(self, ids: Sequence[int]) -> list[int]:
        seen = self._old.union(*self._batches)
        places = list[int]()
        for place, number in enumerate(ids):
            if number in seen:
                places.append(place)
            seen.add(number)
        return places
