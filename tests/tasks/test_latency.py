"""How long after a POST begins a search finds the task; `pytest -s` shows the figures for each pattern."""

import statistics
import time
from pathlib import Path
from uuid import uuid4

import pytest
from testbed import Testbed

from lab.server import Server
from tasks.index.contract import Criteria
from tasks.index.fts import FtsIndex

pytestmark = [pytest.mark.slow, pytest.mark.alone]

WARM_UP, MEASURED = 20, 200
LONGEST_SECONDS = 5.0


def _searchable_after(testbed: Testbed, index: FtsIndex) -> tuple[float, float]:
    """Seconds until the answer to the POST, and until the task is found."""
    word = uuid4().hex
    started = time.perf_counter()
    testbed.create(f"task {word}")
    answered = time.perf_counter() - started
    while not index.search(Criteria(text=word)).total:
        assert time.perf_counter() - started < LONGEST_SECONDS
        time.sleep(0.0005)
    return answered, time.perf_counter() - started


@pytest.mark.parametrize("pattern", ["pubsub", "reliable", "stream"])
def test_a_task_is_found_soon_after_it_was_posted(pattern: str, tmp_path: Path) -> None:
    with Server() as server, Testbed(server.url, tmp_path, pattern) as testbed:
        testbed.start()
        index = FtsIndex(tmp_path / "index.db")
        index.open()
        for _ in range(WARM_UP):
            _searchable_after(testbed, index)

        pairs = [_searchable_after(testbed, index) for _ in range(MEASURED)]
        index.close()

    answered, found = ([seconds * 1000 for seconds in column] for column in zip(*pairs, strict=True))
    p50, p99 = (statistics.quantiles(found, n=100)[n - 1] for n in (50, 99))
    print(
        f"\n{pattern}: POST to searchable p50 {p50:.1f} ms, p99 {p99:.1f} ms "
        f"(the POST itself p50 {statistics.median(answered):.1f} ms), {MEASURED} tasks one after the other"
    )
    assert p50 < 1000
