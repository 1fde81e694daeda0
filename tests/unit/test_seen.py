"""A duplicate never goes unnoticed, in bounded memory."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from subscriber.seen import Seen


def test_an_id_is_new_once() -> None:
    seen = Seen()
    message_id = uuid4()

    assert not seen.again(message_id)
    assert seen.again(message_id)
    assert seen.again(message_id)


def test_equal_ids_are_the_same_whatever_object_they_are() -> None:
    seen = Seen()
    seen.again(UUID(int=1))

    assert seen.again(UUID(str(UUID(int=1))))


@given(st.lists(st.integers(0, 20)))
def test_it_says_again_for_exactly_the_ids_that_came_before(numbers: list[int]) -> None:
    seen = Seen()

    answers = [seen.again(UUID(int=number)) for number in numbers]

    assert answers == [number in numbers[:index] for index, number in enumerate(numbers)]


def test_the_last_20_000_are_remembered_and_no_more_than_twice_that() -> None:
    seen = Seen()
    for number in range(100_000):
        seen.again(UUID(int=number))

    remembered = seen._young | seen._old

    assert remembered >= set(range(80_000, 100_000))
    assert len(remembered) <= 40_000
