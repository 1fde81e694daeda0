"""What a handler raises, and its policy, decide what becomes of its message."""

import pytest

from townpost.errors import SettingError, UnreadableError
from townpost.verdicts import CrashedError, Decision, Policy, Reject, Retry, decide, describe, exact_pauses, reason

YEAR = 366 * 24 * 3600
POLICY = Policy(attempts=5, backoff=1.0, cap=60.0)


@pytest.mark.parametrize("after", [None, 0, 0.5, YEAR])
def test_a_retry_says_when_and_why(after: float | None) -> None:
    retry = Retry("the bank is closed", after=after)

    assert (str(retry), retry.after) == ("the bank is closed", after)


def test_a_retry_needs_no_reason() -> None:
    assert str(Retry()) == ""


@pytest.mark.parametrize("after", [-0.1, YEAR + 1, float("nan")])
def test_a_retry_at_no_such_time_is_refused(after: float) -> None:
    with pytest.raises(ValueError, match=f"^after={after} is not a number of seconds from 0 to a year$"):
        Retry(after=after)


def test_a_policy_that_nothing_changes_is_the_same() -> None:
    policy = Policy(5, 1.0, 60.0, (1.0, 2.0))

    assert policy.changed(None, None) == policy


def test_a_handler_may_have_fewer_attempts() -> None:
    assert POLICY.changed(1, None) == Policy(1, 1.0, 60.0)


def test_a_handler_may_have_a_backoff_of_its_own_which_raises_the_cap() -> None:
    assert POLICY.changed(None, 5) == Policy(5, 5.0, 60.0)
    assert POLICY.changed(None, 90) == Policy(5, 90.0, 90.0)
    assert Policy(5, 1.0, 60.0, (1.0,)).changed(None, 0) == Policy(5, 0.0, 60.0)


@pytest.mark.parametrize("pauses", [(1, 5, 30), (0,), (YEAR,)])
def test_a_handler_may_have_exact_pauses(pauses: tuple[float, ...]) -> None:
    assert POLICY.changed(2, list(pauses)) == Policy(2, 1.0, 60.0, pauses)


def test_less_than_one_attempt_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^attempts=0: a message is tried once at least$"):
        POLICY.changed(0, None)


@pytest.mark.parametrize("backoff", [-1, [], [1, -1], [YEAR + 1]])
def test_a_backoff_that_is_none_is_refused(backoff: float | list[float]) -> None:
    with pytest.raises(SettingError, match=r"^backoff=.* is neither a number of seconds nor a list of them$"):
        POLICY.changed(None, backoff)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (UnreadableError("no JSON"), "unreadable"),
        (CrashedError(), "crashed"),
        (Reject(), "rejected"),
        (Retry(), "failed"),
        (ValueError(), "failed"),
    ],
)
def test_a_death_has_a_reason_of_one_word(error: Exception, why: str) -> None:
    assert reason(error) == why


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Reject("a fraud"), "a fraud"),
        (Retry("closed"), "closed"),
        (Reject(), "Reject: "),
        (ValueError("bad\n"), r"ValueError: bad\n"),
        (Reject("bad\n"), r"bad\n"),
    ],
)
def test_a_dead_letter_tells_the_error_in_one_line(error: Exception, text: str) -> None:
    assert describe(error) == text


@pytest.mark.parametrize("error", [Reject("x" * 2_000), ValueError("x" * 2_000)])
def test_a_dead_letter_tells_no_more_than_1_000_characters(error: Exception) -> None:
    assert len(describe(error)) == 1_000


def test_the_last_attempt_is_the_end() -> None:
    assert decide(POLICY, ValueError(), 4).dead is None
    assert decide(POLICY, ValueError(), 5) == Decision("failed")
    assert decide(POLICY, ValueError(), 6) == Decision("failed")


def test_a_rejected_message_is_dead_at_once() -> None:
    assert decide(POLICY, Reject(), 1) == Decision("rejected")


@pytest.mark.parametrize(("attempt", "pause"), [(1, 1.0), (2, 2.0), (4, 8.0), (7, 60.0), (5_000, 60.0)])
def test_the_backoff_doubles_up_to_the_cap_with_jitter(attempt: int, pause: float) -> None:
    policy = Policy(attempts=10_000, backoff=1.0, cap=60.0)

    assert decide(policy, ValueError(), attempt) == Decision(None, pause, jitter=True)


def test_the_backoff_doubles_thirty_times_at_most() -> None:
    policy = Policy(attempts=10_000, backoff=1e-9, cap=60.0)

    assert decide(policy, ValueError(), 5_000).pause == pytest.approx(2.0**30 * 1e-9)


@pytest.mark.parametrize(("attempt", "pause"), [(1, 1.0), (2, 7.0), (3, 7.0)])
def test_of_exact_pauses_the_last_repeats_without_jitter(attempt: int, pause: float) -> None:
    assert decide(Policy(5, 1.0, 60.0, (1.0, 7.0)), ValueError(), attempt) == Decision(None, pause, jitter=False)


def test_a_retry_with_a_time_goes_before_the_policy() -> None:
    policy = Policy(5, 1.0, 60.0, (9.0,))

    assert exact_pauses(policy, Retry(after=3)) == (3,)
    assert exact_pauses(policy, Retry()) == (9.0,)
    assert decide(policy, Retry(after=3), 1) == Decision(None, 3)
