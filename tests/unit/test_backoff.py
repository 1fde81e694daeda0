"""The one rule for pauses, of subscribers and publishers."""

import pytest

from townpost.redis.backoff import Backoff


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one entry is the time."""
    now = [1000.0]
    monkeypatch.setattr("townpost.redis.backoff.time.monotonic", lambda: now[0])
    return now


def test_after_a_success_the_first_attempt_has_no_pause_and_the_next_ones_longer_and_longer(clock: list[float]) -> None:
    backoff = Backoff()

    pauses = [backoff.pause() for _ in range(9)]

    assert pauses[0] == 0
    assert 0.2 <= pauses[1] <= 0.4
    assert all(1.5 <= pause <= 3 for pause in pauses[6:])
    assert clock == [1000.0]


def test_a_connection_that_breaks_after_each_success_is_replaced_without_a_pause_once_a_second(
    clock: list[float],
) -> None:
    backoff = Backoff()
    pauses = []
    for _ in range(4):
        backoff.worked()
        pauses.append(backoff.pause())
        clock[0] += 0.6

    assert [pause == 0 for pause in pauses] == [True, False, True, False]


def test_before_anything_has_worked_the_first_attempt_has_a_pause() -> None:
    assert Backoff(proved=False).pause() >= 0.2


def test_a_refusal_that_does_not_pass_by_itself_is_asked_again_more_seldom() -> None:
    lasting, passing = Backoff(), Backoff()

    assert [lasting.refused(passes=False) for _ in range(6)][-1] >= 7.5
    assert [passing.refused(passes=True) for _ in range(6)][-1] <= 3
