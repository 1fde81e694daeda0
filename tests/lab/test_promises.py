"""What a pattern may lose or double follows from what it declares and from what the fault takes away."""

from dataclasses import replace

import pytest

from lab.faults import FAULTS
from lab.trials.checker import Verdict
from lab.trials.fault import Breaks
from lab.trials.promises import Circumstances, broken
from lab.trials.subjects import SUBJECTS
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Guarantees

FINE = Verdict(
    attempted=9,
    acknowledged=9,
    delivered=9,
    lost=0,
    lost_later=0,
    forgotten=0,
    unexpected=0,
    duplicated=0,
    recovered=0,
    dead=0,
    reordered=0,
    recovery=1.0,
)
CALM = Circumstances()
MISSED = {Breaks.CONSUMER, Breaks.LINK, Breaks.RESTART, Breaks.BUFFER}
PROMISES = {name: pattern.guarantees for name, pattern in PATTERNS.items()}
EVERY = pytest.mark.parametrize("pattern", PROMISES)


def when(*breaks: Breaks, hits: int = 0) -> Circumstances:
    return Circumstances(breaks=frozenset(breaks), hits=hits)


@EVERY
def test_all_is_well_when_nothing_is_wrong(pattern: str) -> None:
    assert broken(PROMISES[pattern], CALM, FINE) == []


@EVERY
@pytest.mark.parametrize(
    "verdict",
    [
        replace(FINE, lost=1),
        replace(FINE, forgotten=1),
        replace(FINE, duplicated=1),
        replace(FINE, unexpected=1),
        replace(FINE, reordered=1),
        replace(FINE, acknowledged=8),
        replace(FINE, recovery=None),
        replace(FINE, recovery=60.0),
    ],
    ids=["lost", "forgotten", "duplicated", "unexpected", "reordered", "unsent", "no recovery", "late recovery"],
)
def test_nothing_is_excused_when_nothing_went_wrong(pattern: str, verdict: Verdict) -> None:
    assert len(broken(PROMISES[pattern], CALM, verdict)) == 1


@EVERY
@pytest.mark.parametrize("breaks", Breaks)
def test_no_fault_excuses_a_message_that_nobody_sent(pattern: str, breaks: Breaks) -> None:
    assert broken(PROMISES[pattern], when(breaks, hits=9), replace(FINE, unexpected=1)) == ["1 that nobody sent"]


@EVERY
@pytest.mark.parametrize("breaks", Breaks)
def test_no_fault_excuses_that_all_comes_to_an_end(pattern: str, breaks: Breaks) -> None:
    assert broken(PROMISES[pattern], when(breaks, hits=9), replace(FINE, recovery=None))


@EVERY
@pytest.mark.parametrize("breaks", Breaks)
def test_no_fault_excuses_a_loss_when_all_is_well_again(pattern: str, breaks: Breaks) -> None:
    verdict = replace(FINE, lost=1, lost_later=1)

    assert "1 lost that were sent when all was well again" in broken(PROMISES[pattern], when(breaks, hits=9), verdict)


@pytest.mark.parametrize("pattern", [name for name, kept in PROMISES.items() if kept.redelivers])
@pytest.mark.parametrize("breaks", Breaks)
def test_at_least_once_loses_nothing_under_any_fault(pattern: str, breaks: Breaks) -> None:
    assert broken(PROMISES[pattern], when(breaks, hits=9), replace(FINE, lost=1)) == ["1 lost"]


@pytest.mark.parametrize("breaks", [Breaks.CONSUMER, Breaks.LINK])
@pytest.mark.parametrize(("work", "in_hand"), [(0.0, 500), (0.01, 5), (0.002, 25), (1.0, 1)])
def test_a_queue_may_lose_what_an_interrupted_consumer_had_in_hand(breaks: Breaks, work: float, in_hand: int) -> None:
    what = Circumstances(breaks=frozenset({breaks}), hits=2, work_seconds=work)

    assert broken(PROMISES["queue"], what, replace(FINE, lost=2 * in_hand)) == []
    assert broken(PROMISES["queue"], what, replace(FINE, lost=2 * in_hand + 1)) == [
        f"{2 * in_hand + 1} lost, where {2 * in_hand} may be"
    ]


@pytest.mark.parametrize("breaks", [each for each in Breaks if each not in {Breaks.CONSUMER, Breaks.LINK}])
def test_a_queue_loses_nothing_while_its_consumers_are_well(breaks: Breaks) -> None:
    assert broken(PROMISES["queue"], when(breaks, hits=9), replace(FINE, lost=1)) == ["1 lost"]


def test_a_queue_may_lose_one_message_for_each_loop_that_raised() -> None:
    what = Circumstances(breaks=frozenset({Breaks.CONSUMER}), raised=3)

    assert broken(PROMISES["queue"], what, replace(FINE, lost=3)) == []
    assert broken(PROMISES["queue"], what, replace(FINE, lost=4)) == ["4 lost, where 3 may be"]


@pytest.mark.parametrize("pattern", [name for name, kept in PROMISES.items() if kept.redelivers])
def test_an_exception_in_a_loop_excuses_neither_a_loss_nor_a_double_where_it_is_redelivered(pattern: str) -> None:
    what = Circumstances(breaks=frozenset({Breaks.CONSUMER}), raised=3)

    assert broken(PROMISES[pattern], what, replace(FINE, lost=1)) == ["1 lost"]
    assert broken(PROMISES[pattern], what, replace(FINE, duplicated=1)) == ["1 came twice"]


@EVERY
def test_work_that_is_not_shared_takes_longer_than_the_fault_allows(pattern: str) -> None:
    what = Circumstances(breaks=frozenset({Breaks.OVERRUN}), recovery_seconds=6)

    assert broken(PROMISES[pattern], what, replace(FINE, recovery=5.9)) == []
    assert broken(PROMISES[pattern], what, replace(FINE, recovery=10.0)) == ["took 10.0 s to recover, where 6 s may be"]


@EVERY
def test_what_is_given_back_may_change_places_and_is_neither_lost_nor_doubled(pattern: str) -> None:
    overrun = when(Breaks.OVERRUN)

    moved = [] if PROMISES[pattern].durable else ["3 out of order"]
    assert broken(PROMISES[pattern], overrun, replace(FINE, reordered=3)) == moved
    assert broken(PROMISES[pattern], overrun, replace(FINE, lost=1)) == ["1 lost"]
    assert broken(PROMISES[pattern], overrun, replace(FINE, duplicated=1)) == ["1 came twice"]


def test_a_queue_loses_nothing_if_nobody_was_interrupted() -> None:
    assert broken(PROMISES["queue"], when(Breaks.CONSUMER), replace(FINE, lost=1)) == ["1 lost"]


@pytest.mark.parametrize("breaks", Breaks)
def test_pubsub_misses_what_is_said_while_it_is_away_and_nothing_else(breaks: Breaks) -> None:
    assert broken(PROMISES["pubsub"], when(breaks), replace(FINE, lost=5)) == ([] if breaks in MISSED else ["5 lost"])


@EVERY
def test_only_a_server_that_may_forget_is_excused_for_it(pattern: str) -> None:
    forgot = replace(FINE, forgotten=1)

    assert broken(PROMISES[pattern], when(Breaks.MEMORY), forgot) == []
    assert broken(PROMISES[pattern], when(Breaks.LINK, Breaks.SENDER), forgot) == ["1 forgotten by Redis"]


@EVERY
@pytest.mark.parametrize("breaks", [each for each in Breaks if each is not Breaks.MEMORY])
def test_a_fault_excuses_no_double_unless_somebody_was_hit(pattern: str, breaks: Breaks) -> None:
    assert broken(PROMISES[pattern], when(breaks), replace(FINE, duplicated=1)) == ["1 came twice"]


@EVERY
def test_a_consumer_that_was_hit_or_stalled_doubles_what_it_had_in_hand_where_it_redelivers(pattern: str) -> None:
    most = 15 if PROMISES[pattern].redelivers else 0
    what = Circumstances(hits=2, stalled=1, work_seconds=0.01)

    assert broken(PROMISES[pattern], what, replace(FINE, duplicated=most)) == []
    assert broken(PROMISES[pattern], what, replace(FINE, duplicated=most + 1))


@EVERY
def test_a_publisher_in_doubt_doubles_its_batch(pattern: str) -> None:
    most = 500 * (2 if PROMISES[pattern].fan_out else 1)
    what = Circumstances(resent=1, listeners=2)

    assert broken(PROMISES[pattern], what, replace(FINE, duplicated=most)) == []
    assert broken(PROMISES[pattern], what, replace(FINE, duplicated=most + 1))


def test_what_was_sent_twice_comes_twice_but_where_ids_are_remembered() -> None:
    twice = replace(FINE, duplicated=5)

    assert (
        broken(PROMISES["stream"], Circumstances(repeated=5, once=True), twice) == []
    )  # it does not know ONCE_SECONDS
    assert broken(PROMISES["reliable"], Circumstances(repeated=5, once=True), twice) == ["5 came twice"]


@pytest.mark.parametrize("pattern", [name for name, kept in PROMISES.items() if kept.redelivers])
def test_what_is_set_aside_is_what_belongs_there(pattern: str) -> None:
    found = broken(PROMISES[pattern], Circumstances(misplaced=2), FINE)

    assert found == ["2 wrongly among the dead letters, or wrongly not"]


def test_a_publisher_that_was_killed_leaves_some_unsent_but_not_all() -> None:
    killed = when(Breaks.PUBLISHER)

    assert broken(PROMISES["queue"], killed, replace(FINE, acknowledged=4)) == []
    assert broken(PROMISES["queue"], killed, replace(FINE, acknowledged=0))


def test_each_broken_promise_is_told() -> None:
    found = broken(PROMISES["reliable"], CALM, replace(FINE, lost=1, duplicated=2, unexpected=3, recovery=None))

    assert found == ["1 lost", "2 came twice", "3 that nobody sent", "somebody handled nothing any more"]


def test_subjects_are_held_to_what_their_patterns_declare() -> None:
    held: dict[str, Guarantees | None] = {name: subject.promises for name, subject in SUBJECTS.items()}

    assert held == {**PROMISES, "naive-pubsub": None, "naive-queue": None}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_says_what_it_does_and_how_and_what_to_expect(name: str) -> None:
    story = FAULTS[name].story

    assert "\nHow:  " in story
    assert "\nExpect:  " in story
    assert name == name.lower().replace("_", "-")
