"""What a pattern may lose or double follows from what it declares and from what the fault takes away."""

from dataclasses import replace

import pytest

from lab.faults import FAULTS
from lab.faults.contract import Breaks
from lab.trials.checker import Verdict
from lab.trials.promises import Circumstances, broken
from lab.trials.subjects import IN_HAND, SUBJECTS
from shared.patterns import PATTERNS
from shared.patterns.contract import Guarantees

FINE = Verdict(
    attempted=9,
    acknowledged=9,
    delivered=9,
    lost=0,
    forgotten=0,
    unexpected=0,
    duplicated=0,
    recovered=0,
    dead=0,
    reordered=0,
    recovery=1.0,
)
CALM = Circumstances(breaks=frozenset(), hits=0, set_aside=0, once=False)
PROMISES = {name: pattern.guarantees for name, pattern in PATTERNS.items()}
EVERY = pytest.mark.parametrize("pattern", PROMISES)


def when(*breaks: Breaks, hits: int = 0, set_aside: int = 0, once: bool = False) -> Circumstances:
    return Circumstances(breaks=frozenset(breaks), hits=hits, set_aside=set_aside, once=once)


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
        replace(FINE, recovery=None),
    ],
    ids=["lost", "forgotten", "duplicated", "unexpected", "no recovery"],
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


@pytest.mark.parametrize("pattern", [name for name, kept in PROMISES.items() if kept.redelivers])
@pytest.mark.parametrize("breaks", Breaks)
def test_at_least_once_loses_nothing_under_any_fault(pattern: str, breaks: Breaks) -> None:
    assert broken(PROMISES[pattern], when(breaks, hits=9), replace(FINE, lost=1)) == ["lost 1"]


@pytest.mark.parametrize("breaks", [Breaks.CONSUMER, Breaks.LINK])
def test_a_queue_may_lose_what_an_interrupted_consumer_had_in_hand(breaks: Breaks) -> None:
    most = 2 * IN_HAND

    assert broken(PROMISES["queue"], when(breaks, hits=2), replace(FINE, lost=most)) == []
    assert broken(PROMISES["queue"], when(breaks, hits=2), replace(FINE, lost=most + 1)) == [
        f"lost {most + 1}, of which {most} may be lost"
    ]


@pytest.mark.parametrize("breaks", [Breaks.SENDER, Breaks.MEMORY, Breaks.RESTART, Breaks.BUFFER, Breaks.MESSAGE])
def test_a_queue_loses_nothing_while_its_consumers_are_well(breaks: Breaks) -> None:
    assert broken(PROMISES["queue"], when(breaks, hits=9), replace(FINE, lost=1)) == ["lost 1"]


def test_a_queue_loses_nothing_if_nobody_was_interrupted() -> None:
    assert broken(PROMISES["queue"], when(Breaks.CONSUMER), replace(FINE, lost=1)) == ["lost 1"]


@pytest.mark.parametrize("breaks", [Breaks.CONSUMER, Breaks.LINK, Breaks.RESTART, Breaks.BUFFER])
def test_pubsub_misses_what_is_said_while_it_is_away(breaks: Breaks) -> None:
    assert broken(PROMISES["pubsub"], when(breaks), replace(FINE, lost=5)) == []


@pytest.mark.parametrize("breaks", [Breaks.SENDER, Breaks.MEMORY, Breaks.MESSAGE])
def test_pubsub_misses_nothing_while_it_listens(breaks: Breaks) -> None:
    assert broken(PROMISES["pubsub"], when(breaks), replace(FINE, lost=1)) == ["lost 1"]


@EVERY
def test_only_a_server_that_may_forget_is_excused_for_it(pattern: str) -> None:
    forgot = replace(FINE, forgotten=1)

    assert broken(PROMISES[pattern], when(Breaks.MEMORY), forgot) == []
    assert broken(PROMISES[pattern], when(Breaks.LINK, Breaks.SENDER), forgot) == ["Redis forgot 1"]


DOUBLES = {
    "pubsub": {Breaks.SENDER, Breaks.MESSAGE},
    "queue": {Breaks.SENDER, Breaks.MESSAGE, Breaks.MEMORY},
    "reliable": {Breaks.SENDER, Breaks.MESSAGE, Breaks.MEMORY, Breaks.CONSUMER, Breaks.LINK},
    "stream": {Breaks.SENDER, Breaks.MESSAGE, Breaks.MEMORY, Breaks.CONSUMER, Breaks.LINK},
}


@EVERY
@pytest.mark.parametrize("breaks", Breaks)
def test_who_may_double_under_what(pattern: str, breaks: Breaks) -> None:
    found = broken(PROMISES[pattern], when(breaks, hits=1), replace(FINE, duplicated=1))

    assert found == ([] if breaks in DOUBLES[pattern] else ["1 came twice"])


def test_ids_that_are_remembered_double_nothing() -> None:
    twice = replace(FINE, duplicated=1)

    assert broken(PROMISES["reliable"], when(Breaks.MESSAGE, once=True), twice) == ["1 came twice"]
    assert broken(PROMISES["stream"], when(Breaks.MESSAGE, once=True), twice) == []  # it does not know ONCE_SECONDS


@pytest.mark.parametrize("pattern", [name for name, kept in PROMISES.items() if kept.redelivers])
@pytest.mark.parametrize("dead", [0, 2])
def test_what_is_set_aside_is_what_belongs_there(pattern: str, dead: int) -> None:
    found = broken(PROMISES[pattern], when(Breaks.MESSAGE, set_aside=1), replace(FINE, dead=dead))

    assert found == [f"{dead} dead letters instead of 1"]


def test_each_broken_promise_is_told() -> None:
    found = broken(PROMISES["reliable"], CALM, replace(FINE, lost=1, duplicated=2, unexpected=3, recovery=None))

    assert found == ["lost 1", "2 came twice", "3 that nobody sent", "nothing was handled any more"]


def test_subjects_are_held_to_what_their_patterns_declare() -> None:
    held: dict[str, Guarantees | None] = {name: subject.promises for name, subject in SUBJECTS.items()}

    assert held == {**PROMISES, "naive-pubsub": None, "naive-queue": None}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_says_what_it_does_and_how_and_what_to_expect(name: str) -> None:
    story = FAULTS[name].story

    assert "\nHow:  " in story
    assert "\nExpect:  " in story
    assert name == name.lower().replace("_", "-")
