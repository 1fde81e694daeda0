"""A listener can say which numbers it never heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townpost.consuming.gaps import Gap, GapWatch
from townpost.message import Message


def heard(watch: GapWatch, *counts: int, sender: str = "a", epoch: str | None = "e1") -> list[Gap]:
    """The gaps that these numbers show, heard in this order."""
    messages = [Message.create("Hello", sender=sender, epoch=epoch, count=count) for count in counts]
    return [gap for message in messages if (gap := watch.hear(message)) is not None]


@pytest.fixture
def watch() -> GapWatch:
    return GapWatch()


def test_numbers_without_a_jump_show_no_gap(watch: GapWatch) -> None:
    assert heard(watch, 1, 2, 3) == []


def test_a_jump_shows_the_numbers_between(watch: GapWatch) -> None:
    assert heard(watch, 1, 2, 6) == [Gap("a", 3, 5)]


def test_each_jump_is_told_once(watch: GapWatch) -> None:
    assert heard(watch, 1, 3, 4, 7) == [Gap("a", 2, 2), Gap("a", 5, 6)]


def test_what_came_before_the_first_heard_is_no_gap(watch: GapWatch) -> None:
    assert heard(watch, 500, 501) == []


@pytest.mark.parametrize("again", [5, 4, 1], ids=["duplicate", "late", "late first"])
def test_a_number_that_comes_again_or_late_is_no_gap(watch: GapWatch, again: int) -> None:
    assert heard(watch, 4, 5, again, 6) == []


def test_a_new_epoch_starts_anew(watch: GapWatch) -> None:
    heard(watch, 1, 2, 3, epoch="e1")

    assert heard(watch, 1, 2, epoch="e2") == []
    assert heard(watch, 4, epoch="e2") == [Gap("a", 3, 3)]


def test_without_an_epoch_a_one_is_a_restart(watch: GapWatch) -> None:
    assert heard(watch, 7, 8, 1, 2, 4, epoch=None) == [Gap("a", 3, 3, certain=False)]


def test_a_jump_beyond_belief_is_no_gap(watch: GapWatch) -> None:
    assert heard(watch, 1, 2**63 - 1) == []


def test_with_an_epoch_a_one_is_merely_late(watch: GapWatch) -> None:
    assert heard(watch, 7, 8, 1, 10) == [Gap("a", 9, 9)]


def test_senders_are_counted_apart(watch: GapWatch) -> None:
    heard(watch, 1, 2, sender="a")
    heard(watch, 10, sender="b")

    assert heard(watch, 3, sender="a") == []
    assert heard(watch, 12, sender="b") == [Gap("b", 11, 11)]


def test_the_longest_silent_of_many_senders_is_forgotten(watch: GapWatch) -> None:
    for number in range(10_000):
        heard(watch, 1, sender=f"s{number}")
    heard(watch, 2, sender="s0")  # so that s1 is the longest silent

    heard(watch, 1, sender="one more")

    assert heard(watch, 4, sender="s0") == [Gap("s0", 3, 3)]
    assert heard(watch, 4, sender="s1") == []


@pytest.mark.parametrize(
    ("gap", "text"), [(Gap("a", 3, 3), "#3 of a"), (Gap("a", 3, 5), "#3 to #5 of a")], ids=["one", "several"]
)
def test_a_gap_reads_as_a_person_says_it(gap: Gap, text: str) -> None:
    assert str(gap) == text


@given(st.sets(st.integers(1, 1000), min_size=1))
def test_the_gaps_are_exactly_what_is_missing(counts: set[int]) -> None:
    gaps = heard(GapWatch(), *sorted(counts))

    missing = set(range(min(counts), max(counts))) - counts
    assert {number for gap in gaps for number in range(gap.first, gap.last + 1)} == missing
    assert sum(gap.size for gap in gaps) == len(missing)


@given(st.lists(st.integers(1, 30), min_size=1))
def test_in_any_order_no_number_is_missed_twice(counts: list[int]) -> None:
    gaps = heard(GapWatch(), *counts)

    numbers = [number for gap in gaps for number in range(gap.first, gap.last + 1)]
    assert len(numbers) == len(set(numbers))


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 6), st.sampled_from("ab"), st.sampled_from(["e1", None])), max_size=5))
)
def test_several_at_once_are_heard_as_one_by_one(batches: list[list[tuple[int, str, str | None]]]) -> None:
    one_by_one, at_once = GapWatch(), GapWatch()

    for batch in batches:
        messages = [Message.create("x", sender=sender, count=count, epoch=epoch) for count, sender, epoch in batch]
        gaps = [one_by_one.hear(message) for message in messages]

        if at_once.expects(messages):
            assert not any(gaps)
        else:
            assert [at_once.hear(message) for message in messages] == gaps


def test_a_run_that_begins_with_the_next_number_is_expected(watch: GapWatch) -> None:
    heard(watch, 1)
    run = [Message.create("x", sender="a", count=count, epoch="e1") for count in (2, 3)]

    assert watch.expects(run)
    assert not watch.expects(run)


def test_the_next_number_of_another_sender_is_not_expected(watch: GapWatch) -> None:
    heard(watch, 1)

    assert not watch.expects([Message.create("x", sender="b", count=2, epoch="e1")])
    assert not watch.expects([Message.create("x", sender="a", count=2, epoch="e2")])


def test_the_next_number_under_another_epoch_is_a_start(watch: GapWatch) -> None:
    heard(watch, 1, epoch="e1")

    assert heard(watch, 2, epoch="e2") == []
    assert heard(watch, 4, epoch="e1") == [Gap("a", 2, 3)]


def test_the_longest_jump_that_is_believed_is_ten_million(watch: GapWatch) -> None:
    assert heard(watch, 1, 10_000_001) == [Gap("a", 2, 10_000_000)]
    assert heard(watch, 20_000_002) == []


def test_without_an_epoch_a_late_number_does_not_start_anew(watch: GapWatch) -> None:
    assert heard(watch, 7, 8, 2, 9, 10, epoch=None) == []
