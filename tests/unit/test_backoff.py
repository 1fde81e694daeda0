"""A publisher tries again at once after one broken connection, and with growing pauses after several."""

import pytest

from townpost.errors import SettingError
from townpost.publishing.backoff import Backoff, checked_timeout


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One number: the monotonic time."""
    now = [1_000.0]
    monkeypatch.setattr("townpost.publishing.backoff.time.monotonic", lambda: now[0])
    return now


def test_the_first_attempt_after_a_success_has_no_pause(clock: list[float]) -> None:
    pauses = Backoff()
    assert pauses.pause() == 0

    pauses.worked()
    clock[0] += 1.0

    assert pauses.pause() == 0


def test_pauses_grow_up_to_three_seconds_until_redis_answers(clock: list[float]) -> None:
    pauses = Backoff()
    assert pauses.pause() == 0

    clock[0] += 60
    assert 0.2 <= pauses.pause() <= 0.4
    assert 0.4 <= pauses.pause() <= 0.8
    assert [1.5 <= pauses.pause() <= 3.0 for _ in range(8)][3:] == [True] * 5
    pauses.worked()
    assert pauses.pause() == 0
    assert 0.2 <= pauses.pause() <= 0.4


def test_a_connection_that_breaks_again_within_a_second_has_a_pause(clock: list[float]) -> None:
    pauses = Backoff()
    assert pauses.pause() == 0

    pauses.worked()
    clock[0] += 0.9

    assert 0.2 <= pauses.pause() <= 0.4


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_in_which_nothing_could_be_sent_is_refused(seconds: float) -> None:
    with pytest.raises(SettingError, match=f"^timeout={seconds!r} cannot be used: give seconds above 0, or None"):
        checked_timeout(seconds)


def test_any_other_time_is_kept() -> None:
    assert checked_timeout(0.001) == 0.001
