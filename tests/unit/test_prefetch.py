"""A slow handler takes one message at a time, a fast one a thousand."""

from hypothesis import given
from hypothesis import strategies as st

from townpost.prefetch import Prefetch


def after(prefetch: Prefetch, turns: int, seconds_each: float) -> list[int]:
    """The limits after each of these turns, every one with as much work as allowed."""
    limits = []
    for _ in range(turns):
        prefetch.worked(prefetch.limit, prefetch.limit * seconds_each)
        limits.append(prefetch.limit)
    return limits


def test_it_begins_with_one() -> None:
    assert Prefetch().limit == 1


def test_a_slow_handler_stays_at_one() -> None:
    assert after(Prefetch(), 5, seconds_each=2.0) == [1, 1, 1, 1, 1]


def test_a_no_op_doubles_up_to_a_thousand() -> None:
    assert after(Prefetch(), 12, seconds_each=0.0) == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000, 1000]


def test_in_between_it_takes_50_ms_worth_of_work() -> None:
    assert after(Prefetch(), 10, seconds_each=0.002)[-1] in (24, 25)  # as floats divide


def test_one_slow_message_shrinks_it_at_once() -> None:
    prefetch = Prefetch()
    after(prefetch, 12, seconds_each=0.0)

    prefetch.worked(1, 5.0)

    assert prefetch.limit == 1


def test_a_turn_without_messages_changes_nothing() -> None:
    prefetch = Prefetch()
    after(prefetch, 3, seconds_each=0.0)

    prefetch.worked(0, 5.0)

    assert prefetch.limit == 8


def test_pinned_it_stays() -> None:
    prefetch = Prefetch(pinned=7)

    assert prefetch.limit == 7
    assert after(prefetch, 2, seconds_each=0.0) == [7, 7]
    assert after(prefetch, 2, seconds_each=9.0) == [7, 7]


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 100))))
def test_whatever_happens_it_at_most_doubles_within_1_and_1_000(turns: list[tuple[int, float]]) -> None:
    prefetch = Prefetch()

    for handled, seconds in turns:
        before = prefetch.limit
        prefetch.worked(handled, seconds)

        assert 1 <= prefetch.limit <= min(2 * before, 1000)


def test_a_slower_handler_is_remembered_for_a_while() -> None:
    prefetch = Prefetch()
    after(prefetch, 20, seconds_each=0.01)
    assert prefetch.limit == 5

    prefetch.worked(5, 0.0)

    assert prefetch.limit < 10


def test_a_faster_handler_is_believed_in_time() -> None:
    prefetch = Prefetch()
    after(prefetch, 20, seconds_each=0.01)

    assert after(prefetch, 60, seconds_each=0.0001)[-1] in (499, 500)
