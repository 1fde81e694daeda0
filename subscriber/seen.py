"""Which ids this process has seen lately: a duplicate is handled again, but never unnoticed."""

from collections.abc import Sequence

__all__ = ["Seen"]

_GENERATION = 20_000


class Seen:
    """Remembers at least the last 20,000 ids, in about twice that room. A batch at a time, which costs a third."""

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._old: set[int] = set()

    def again(self, ids: Sequence[int]) -> list[int]:
        """The places of those that were seen before, also earlier among these; from now on all were."""
        fresh = set(ids)
        known = () if self._young.isdisjoint(fresh) and self._old.isdisjoint(fresh) else self._young | self._old
        places = list[int]()
        if known or len(fresh) < len(ids):
            seen = set(known)
            for place, number in enumerate(ids):
                if number in seen:
                    places.append(place)
                seen.add(number)
        self._young |= fresh
        if len(self._young) >= _GENERATION:
            self._old, self._young = self._young, set()
        return places
