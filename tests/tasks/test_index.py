"""What every search index does, embedded or not: the same tests for each of them."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from elastic_stand_in import ElasticStandIn
from elasticsearch import Elasticsearch
from made import NOON, deleted, put, task

from tasks.index import index_of
from tasks.index.contract import Criteria, Hits, Index
from tasks.settings import TasksSettings
from tasks.task import Change

KINDS = ["embedded", "stand-in", *(["elasticsearch"] if os.environ.get("ELASTICSEARCH_URL") else [])]


@pytest.fixture(params=KINDS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TasksSettings]:
    if request.param == "embedded":
        yield TasksSettings.read(index_url=f"sqlite:///{tmp_path}/index.db")
    elif request.param == "stand-in":
        with ElasticStandIn() as server:
            yield TasksSettings.read(index_url=server.url)
    else:
        settings = TasksSettings.read(index_url=os.environ["ELASTICSEARCH_URL"], tasks_prefix=f"test-{uuid4().hex[:8]}")
        yield settings
        remove(settings)


@pytest.fixture
def index(settings: TasksSettings) -> Iterator[Index]:
    index = index_of(settings)
    index.open()
    yield index
    index.close()


def remove(settings: TasksSettings) -> None:
    """Leave nothing behind in an Elasticsearch that is there for more than us."""
    with Elasticsearch(settings.index_url) as client:
        name = f"{settings.tasks_prefix}-index"
        client.indices.delete(index=name, ignore_unavailable=True)
        client.indices.delete_index_template(name=name)


def found(index: Index, **criteria: Any) -> list[str]:  # noqa: ANN401 - of several types, validated where they go
    return [task.description for task in search(index, **criteria).tasks]


def search(index: Index, **criteria: Any) -> Hits:  # noqa: ANN401 - of several types, validated where they go
    return index.search(Criteria.model_validate(criteria))


class TestApplying:
    def test_a_task_that_was_applied_is_found_as_it_was(self, index: Index) -> None:
        whole = task(
            "buy milk",
            priority="high",
            dates={"start": NOON, "due": NOON},
            categories=["home"],
            sub_tasks=[{"description": "find the purse", "is_done": True}],
        )

        assert index.apply([Change.to(whole)]) == 1

        assert list(search(index, text="milk").tasks) == [whole]

    def test_an_update_replaces_what_was_there(self, index: Index) -> None:
        old = put("buy milk")
        index.apply([old])

        index.apply([put("buy tea", id=old.id, version=2)])

        assert found(index) == ["buy tea"]
        assert found(index, text="milk") == []

    def test_an_older_version_that_comes_late_changes_nothing(self, index: Index) -> None:
        new = put("buy tea", version=3)
        index.apply([new])

        assert index.apply([put("buy milk", id=new.id, version=2)]) == 0

        assert found(index) == ["buy tea"]

    def test_the_same_version_again_changes_nothing(self, index: Index) -> None:
        change = put("buy milk")
        index.apply([change])

        assert index.apply([change]) == 0

        assert found(index) == ["buy milk"]

    def test_a_deleted_task_is_not_found(self, index: Index) -> None:
        change = put("buy milk")
        index.apply([change])

        assert index.apply([deleted(change.id, version=2)]) == 1

        assert search(index).total == 0
        assert found(index, text="milk") == []

    def test_a_late_update_does_not_bring_a_deleted_task_back(self, index: Index) -> None:
        task_id = uuid4()
        index.apply([deleted(task_id, version=3)])

        assert index.apply([put("buy milk", id=task_id, version=2)]) == 0

        assert found(index) == []

    def test_within_one_batch_the_newest_version_wins_whatever_the_order(self, index: Index) -> None:
        task_id = uuid4()

        index.apply([put(text, id=task_id, version=version) for version, text in ((2, "b"), (3, "c"), (1, "a"))])

        assert found(index) == ["c"]

    def test_nothing_to_apply_is_no_fault(self, index: Index) -> None:
        assert index.apply([]) == 0

    def test_a_thousand_changes_at_once(self, index: Index) -> None:
        assert index.apply([put(f"number {n}", change=n) for n in range(1, 1001)]) == 1000

        assert search(index).total == 1000

    def test_what_was_applied_is_there_after_a_restart(self, index: Index, settings: TasksSettings) -> None:
        index.apply([put("buy milk")])
        index.move(7)
        index.close()

        again = index_of(settings)
        again.open()

        assert found(again) == ["buy milk"]
        assert again.cursor() == 7
        again.close()


class TestCursor:
    def test_it_begins_at_zero(self, index: Index) -> None:
        assert index.cursor() == 0

    def test_it_is_where_it_was_moved(self, index: Index) -> None:
        index.move(41)
        index.move(42)

        assert index.cursor() == 42

    def test_it_is_not_a_task(self, index: Index) -> None:
        index.move(42)

        assert search(index) == Hits(0, [])


class TestSearching:
    def test_without_criteria_every_task_is_found_newest_first(self, index: Index) -> None:
        index.apply([put("first", change=1), put("third", change=3), put("second", change=2)])

        assert found(index) == ["third", "second", "first"]

    def test_of_equals_the_id_decides(self, index: Index) -> None:
        ids = sorted((uuid4() for _ in range(5)), key=str)
        index.apply([put("milk", id=task_id) for task_id in reversed(ids)])

        assert [t.id for t in search(index).tasks] == ids
        assert [t.id for t in search(index, text="milk").tasks] == ids

    def test_all_words_must_occur_in_any_order_and_place(self, index: Index) -> None:
        index.apply([
            put("buy fresh milk", change=3),
            put("buy bread", categories=["milk"], change=2),
            put("tidy up", sub_tasks=[{"description": "buy a broom"}], change=1),
        ])  # fmt: skip

        assert set(found(index, text="milk buy")) == {"buy fresh milk", "buy bread"}
        assert found(index, text="broom tidy") == ["tidy up"]
        assert found(index, text="milk broom") == []

    def test_more_of_the_word_is_better(self, index: Index) -> None:
        index.apply([put("milk and a lot of other things to buy on a Saturday", change=2), put("milk milk", change=1)])

        assert found(index, text="milk")[0] == "milk milk"

    @pytest.mark.parametrize("text", ["MILK", "Mílk", "  milk  ", "milk!", "(milk)", '"milk"'])
    def test_case_accents_and_punctuation_do_not_matter(self, index: Index, text: str) -> None:
        index.apply([put("Buy milk, fresh")])

        assert found(index, text=text) == ["Buy milk, fresh"]

    def test_words_of_other_scripts_are_words(self, index: Index) -> None:
        index.apply([put("купить молоко"), put("cafe\u0301 ole")])

        assert found(index, text="Молоко") == ["купить молоко"]
        assert found(index, text="caf\u00e9") == ["cafe\u0301 ole"]

    @pytest.mark.parametrize(
        "text",
        [
            '"', "'", "milk OR tea", "milk NOT tea", "NEAR(milk tea)", "milk*", "description:milk", "^milk", "-milk",
            "milk AND", "'; DROP TABLE tasks; --", "%", "_", "\\", "milk~2", "[milk TO tea]", "/milk/", "milk^2",
            "{", " ".join(chr(0x4E00 + n) for n in range(500)), "é" * 1000, "\U0001f95b",
        ],
    )  # fmt: skip
    def test_no_character_has_a_meaning_of_its_own(self, index: Index, text: str) -> None:
        index.apply([put("buy tea")])

        assert isinstance(search(index, text=text), Hits)
        assert found(index) == ["buy tea"]

    def test_operators_are_words(self, index: Index) -> None:
        index.apply([put("milk", change=1), put("milk or tea", change=2), put("tea", change=3)])

        assert found(index, text="milk OR tea") == ["milk or tea"]

    def test_a_text_without_words_asks_for_nothing(self, index: Index) -> None:
        index.apply([put("buy milk")])

        assert found(index, text="!?") == ["buy milk"]

    def test_criteria_combine_with_and(self, index: Index) -> None:
        index.apply([
            put("milk, high, done", priority="high", is_done=True, change=1),
            put("milk, high", priority="high", change=2),
            put("milk, low", priority="low", change=3),
            put("tea, high", priority="high", change=4),
        ])  # fmt: skip

        assert found(index, text="milk", priority="high", is_done=False) == ["milk, high"]
        assert found(index, priority="high", is_done=True) == ["milk, high, done"]
        assert found(index, priority="none") == []

    def test_dates_are_ranges_with_both_ends(self, index: Index) -> None:
        for day, text in enumerate(("a", "b", "c"), 1):
            index.apply([put(text, dates={"due": f"2026-02-0{day}T00:00:00.000001Z"}, change=day)])
        index.apply([put("dateless", change=4)])

        within = {"since": "2026-02-01T00:00:00.000001Z", "until": "2026-02-02T00:00:00.000001Z"}
        assert found(index, due=within) == ["b", "a"]
        assert found(index, due={"since": "2026-02-02T00:00:00.000002Z"}) == ["c"]
        assert found(index, due={"until": "2026-02-01T00:00:00Z"}) == []
        assert found(index, due={}) == ["c", "b", "a"]
        assert found(index, start={}) == []

    def test_dates_may_be_as_early_and_late_as_the_calendar_goes(self, index: Index) -> None:
        index.apply([put("ages", dates={"start": "0001-01-01T00:00:00Z", "due": "9999-12-31T23:59:59.999999Z"})])

        assert found(index, start={"until": "0001-01-01T00:00:00Z"}) == ["ages"]
        assert found(index, due={"since": "9999-12-31T23:59:59.999999Z"}) == ["ages"]

    @pytest.mark.parametrize("text", ["", "milk"])
    def test_pages_follow_each_other_and_the_total_is_of_all(self, index: Index, text: str) -> None:
        index.apply([put(f"milk {n}", change=n) for n in range(1, 26)])

        pages = [search(index, text=text, limit=10, offset=offset) for offset in (0, 10, 20, 30)]

        assert [page.total for page in pages] == [25] * 4
        assert [len(page.tasks) for page in pages] == [10, 10, 5, 0]
        assert len({t.id for page in pages for t in page.tasks}) == 25

    def test_many_may_search_while_one_writes(self, index: Index) -> None:
        errors: list[Exception] = []
        stop = threading.Event()

        def look() -> None:
            try:
                while not stop.is_set():
                    hits = search(index, text="milk")
                    assert hits.total >= len(hits.tasks)
            except Exception as error:  # noqa: BLE001 - told below
                errors.append(error)

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(1, 31):
            index.apply([put("milk", id=UUID(int=n), change=n)])
        stop.set()
        for thread in threads:
            thread.join()

        assert errors == []
        assert search(index, text="milk").total == 30
