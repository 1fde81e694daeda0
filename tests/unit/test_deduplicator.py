"""A duplicate never goes unnoticed, in bounded memory."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from townpost.consuming.deduplicator import Deduplicator


def test_an_id_is_new_once() -> None:
    seen = Deduplicator()
    number = uuid4().int

    assert seen.again([number]) == []
    assert seen.again([number]) == [0]
    assert seen.again([number]) == [0]


def test_one_that_comes_twice_in_a_batch_is_known_the_second_time() -> None:
    assert Deduplicator().again([1, 2, 1, 3, 2]) == [2, 4]


def test_what_was_noted_as_new_is_known_afterwards() -> None:
    seen = Deduplicator()
    seen.note([1, 2])
    seen.note([3])

    assert seen.again([4, 2, 3]) == [1, 2]


def test_of_what_was_noted_the_last_20_000_are_known() -> None:
    seen = Deduplicator()
    for first in range(0, 100_000, 100):
        seen.note(range(first, first + 100))

    assert len(seen.again(range(80_000, 100_000))) == 20_000
    assert len(seen._young | seen._old) <= 40_000


@given(st.lists(st.lists(st.integers(0, 20))))
def test_it_tells_exactly_the_ids_that_came_before(batches: list[list[int]]) -> None:
    seen = Deduplicator()
    before: list[int] = []

    for batch in batches:
        places = seen.again(batch)

        assert places == [place for place, number in enumerate(batch) if number in before + batch[:place]]
        before += batch


def test_the_last_20_000_are_remembered_and_no_more_than_twice_that() -> None:
    seen = Deduplicator()
    for first in range(0, 100_000, 100):
        seen.again(range(first, first + 100))

    remembered = seen._young | seen._old

    assert remembered >= set(range(80_000, 100_000))
    assert len(remembered) <= 40_000


def test_what_was_noted_and_asked_for_counts_for_the_room_only_once() -> None:
    seen = Deduplicator()
    seen.note(range(10_000))
    seen.again([10_000])

    seen.note(range(10_001, 25_000))

    assert seen.again([10_001]) == [0]


def test_a_single_batch_of_notes_is_never_forgotten_before_it_was_asked_for() -> None:
    seen = Deduplicator()
    seen.note([1])
    seen.note(range(2, 20_002))

    assert seen.again([1, 2]) == [1]
