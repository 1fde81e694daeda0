"""Healing is as complete over many pages of the API as over one."""

import threading
from collections.abc import Sequence
from uuid import uuid4

import pytest
from in_memory import InMemoryIndex
from made import put

from tasks.index.contract import Criteria
from tasks.indexer.api import Api, Page
from tasks.indexer.healing import Healing
from tasks.indexer.writing import Writing
from tasks.task import Change

PAGE = 500


class ScriptedApi(Api):
    """Answers as the API does, from a list."""

    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__("http://127.0.0.1:1")
        self._changes = changes
        self.asked: list[int] = []

    def changes(self, after: int, limit: int = PAGE) -> Page:
        self.asked.append(after)
        found = [change for change in self._changes if change.change > after][:limit]
        last = self._changes[-1].change
        return Page(changes=found, next=found[-1].change if len(found) == limit else last, last=last)


@pytest.mark.parametrize("total", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 1, 3 * PAGE + 7])
def test_everything_is_healed_however_many_pages_it_takes(total: int) -> None:
    # Given an index that has heard of nothing
    index, stop = InMemoryIndex(), threading.Event()
    writing = Writing(index, stop, lambda: None)
    api = ScriptedApi([put(f"task {number}", id=uuid4(), change=number) for number in range(1, total + 1)])
    healing = Healing(api, writing, stop, check_seconds=3600, forgetful=True)

    # When it heals
    healing.want("at the start")
    healing.turn()

    # Then it has every task, the cursor stands at the last, and the figures are of all pages
    assert index.search(Criteria(text="task", limit=1)).total == total
    assert (index.cursor(), writing.progress.cursor) == (total, total)
    assert (healing.healed, healing.missed) == (total, total)
    assert api.asked[1:] == list(range(0, total, PAGE))  # the first question is whether it is the same database
    api.close()
