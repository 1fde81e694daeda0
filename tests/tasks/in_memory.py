"""An index that forgets, for tests of what uses one: it finds whole words of the description."""

from collections.abc import Sequence
from uuid import UUID

from tasks.index.contract import Criteria, Hits, IndexUnavailableError
from tasks.task import Change


class InMemoryIndex:
    def __init__(self) -> None:
        self.away = False
        self._known: dict[UUID, Change] = {}
        self._cursor = 0

    def open(self) -> None:
        self._check()

    def apply(self, changes: Sequence[Change]) -> int:
        self._check()
        newer = [c for c in changes if c.id not in self._known or self._known[c.id].version < c.version]
        self._known |= {change.id: change for change in newer}
        return len(newer)

    def search(self, criteria: Criteria) -> Hits:
        self._check()
        tasks = [c.task for c in self._known.values() if c.task and criteria.text in c.task.description]
        return Hits(len(tasks), tasks[criteria.offset : criteria.offset + criteria.limit])

    def cursor(self) -> int:
        return self._cursor

    def move(self, cursor: int) -> None:
        self._cursor = cursor

    def close(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.away:
            raise IndexUnavailableError("the index does not answer")
