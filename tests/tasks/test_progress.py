"""Numbers without gaps say what is missing."""

from tasks.indexer.progress import Progress


def test_changes_in_their_order_move_the_cursor() -> None:
    progress = Progress(3)

    progress.saved([4, 5])

    assert progress.cursor == 5
    assert not progress.gap


def test_a_skipped_number_is_a_gap_until_it_comes() -> None:
    progress = Progress(0)

    progress.saved([2, 3])
    assert (progress.cursor, progress.gap) == (0, True)
    progress.saved([1])
    assert (progress.cursor, progress.gap) == (3, False)


def test_numbers_that_come_again_change_nothing() -> None:
    progress = Progress(5)

    progress.saved([4, 5])

    assert (progress.cursor, progress.gap) == (5, False)


def test_healing_closes_the_gap_and_joins_what_came_ahead() -> None:
    progress = Progress(0)
    progress.saved([3, 5])

    progress.reach(4)

    assert (progress.cursor, progress.gap) == (5, False)


def test_it_knows_what_it_has() -> None:
    progress = Progress(2)
    progress.saved([4])

    assert [number for number in range(1, 6) if progress.has(number)] == [1, 2, 4]


def test_however_much_comes_ahead_it_stays_small_and_knows_of_the_gap() -> None:
    progress = Progress(0)

    progress.saved(range(2, 20_000))
    assert progress.gap
    progress.reach(20_000)

    assert (progress.cursor, progress.gap) == (20_000, False)


def test_a_number_that_was_never_given_leaves_no_gap() -> None:
    progress = Progress(3)
    progress.saved([5, 1_000_000])

    progress.end_at(5)
    assert progress.gap
    progress.saved([4])

    assert (progress.cursor, progress.gap) == (5, False)
