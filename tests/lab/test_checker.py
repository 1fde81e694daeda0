"""The checker counts what became of messages; here its evidence is made up, so that the truth is known."""

import ast
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.trials import checker
from lab.trials.checker import Delivered, Evidence, judge


def sent(*ids: str) -> dict[str, float]:
    """Handed over a second apart, the first at 1."""
    return {what: float(number) for number, what in enumerate(ids, 1)}


def heard(*ids: str, by: str = "a", process: str = "", since: float = 1.0) -> list[Delivered]:
    """One process's journal, a line each second."""
    return [Delivered(what, by, process or f"{by}-1", since + number) for number, what in enumerate(ids)]


def evidence(
    attempted: str,
    delivered: Sequence[Delivered],
    *,
    acknowledged: str | None = None,
    listeners: Sequence[str] | None = None,
) -> Evidence:
    """One letter is one message."""
    yes = attempted if acknowledged is None else acknowledged
    return Evidence(
        attempted=sent(*attempted),
        acknowledged=set(yes),
        delivered=delivered,
        listeners=listeners or (),
        fan_out=listeners is not None,
    )


def test_what_arrives_once_and_in_order_is_no_finding() -> None:
    verdict = judge(evidence("xyz", heard(*"xyz")))

    assert (verdict.attempted, verdict.acknowledged, verdict.delivered) == (3, 3, 3)
    assert (verdict.lost, verdict.duplicated, verdict.unexpected, verdict.recovered, verdict.reordered) == (0,) * 5


def test_acknowledged_and_not_delivered_is_lost() -> None:
    assert judge(evidence("xyz", heard(*"xz"))).lost == 1


def test_never_acknowledged_and_not_delivered_is_nobodys_loss() -> None:
    verdict = judge(evidence("xyz", heard(*"xz"), acknowledged="xz"))

    assert (verdict.lost, verdict.recovered) == (0, 0)


def test_never_acknowledged_and_yet_delivered_is_recovered() -> None:
    assert judge(evidence("xyz", heard(*"xyz"), acknowledged="xz")).recovered == 1


def test_delivered_and_never_attempted_is_unexpected_and_not_recovered() -> None:
    verdict = judge(evidence("x", heard(*"x?")))

    assert (verdict.unexpected, verdict.recovered) == (1, 0)


def test_each_delivery_beyond_the_first_is_a_duplicate() -> None:
    assert judge(evidence("xy", heard(*"xyxxy"))).duplicated == 3


def test_a_double_from_another_consumer_is_a_duplicate_where_they_share_the_work() -> None:
    assert judge(evidence("x", [*heard("x"), *heard("x", by="b")])).duplicated == 1


def test_a_dead_letter_is_not_lost() -> None:
    verdict = judge(replace(evidence("xy", heard("y")), dead={"x"}))

    assert (verdict.lost, verdict.dead) == (0, 1)


def test_what_redis_forgot_is_not_our_loss() -> None:
    verdict = judge(replace(evidence("xyz", heard("y")), forgotten={"x"}))

    assert (verdict.forgotten, verdict.lost) == (1, 1)


def test_what_redis_forgot_and_was_delivered_all_the_same_is_not_forgotten() -> None:
    assert judge(replace(evidence("x", heard("x")), forgotten={"x"})).forgotten == 0


def test_the_dead_are_not_forgotten_as_well() -> None:
    verdict = judge(replace(evidence("x", []), forgotten={"x"}, dead={"x"}))

    assert (verdict.dead, verdict.forgotten, verdict.lost) == (1, 0, 0)


class TestEveryListenerHearsAll:
    """Evidence of a pattern with fan-out."""

    def test_heard_by_all_is_not_lost_and_not_a_duplicate(self) -> None:
        verdict = judge(evidence("x", [*heard("x"), *heard("x", by="b")], listeners=["a", "b"]))

        assert (verdict.lost, verdict.duplicated) == (0, 0)

    def test_missed_by_one_is_lost(self) -> None:
        assert judge(evidence("x", heard("x"), listeners=["a", "b"])).lost == 1

    def test_missed_by_two_is_one_lost_message(self) -> None:
        assert judge(evidence("x", heard("x"), listeners=["a", "b", "c"])).lost == 1

    def test_a_listener_without_a_journal_has_missed_all(self) -> None:
        assert judge(evidence("xy", heard(*"xy"), listeners=["a", "silent"])).lost == 2

    def test_twice_to_one_of_them_is_a_duplicate(self) -> None:
        assert judge(evidence("x", [*heard("x", "x"), *heard("x", by="b")], listeners=["a", "b"])).duplicated == 1

    def test_a_restarted_process_is_the_same_listener(self) -> None:
        before, after = heard("x"), heard("x", "y", process="a-2", since=5)

        verdict = judge(evidence("xy", [*before, *after], listeners=["a"]))

        assert (verdict.lost, verdict.duplicated) == (0, 1)


class TestOrder:
    """Whether first deliveries came to a process in the order they were sent."""

    def test_one_that_overtook_two_leaves_two_behind_it(self) -> None:
        assert judge(evidence("xyz", heard(*"zxy"))).reordered == 2

    def test_a_late_one_is_one(self) -> None:
        assert judge(evidence("xyz", heard(*"yzx"))).reordered == 1

    def test_a_double_is_not_out_of_order(self) -> None:
        assert judge(evidence("xyz", heard(*"xyxz"))).reordered == 0

    def test_two_consumers_that_share_the_work_are_each_in_order(self) -> None:
        assert judge(evidence("wxyz", [*heard(*"xz"), *heard(*"wy", by="b")])).reordered == 0

    def test_what_a_new_process_gets_from_a_dead_one_is_not_out_of_order(self) -> None:
        assert judge(evidence("wxyz", [*heard(*"xz"), *heard(*"wy", process="a-2")])).reordered == 0


class TestRecovery:
    """How long it took from the end of the fault."""

    def test_it_is_over_with_the_first_message_sent_since(self) -> None:
        given_ = Evidence(
            attempted={"x": 1, "y": 11}, acknowledged="xy", delivered=heard("x", "y", since=12), over=10.0
        )

        assert judge(given_).recovery == 3

    def test_it_is_not_over_before_the_backlog_is(self) -> None:
        late = [Delivered("y", "a", "a-1", 12), Delivered("x", "a", "a-1", 17)]
        given_ = Evidence(attempted={"x": 1, "y": 11}, acknowledged="xy", delivered=late, over=10.0)

        assert judge(given_).recovery == 7

    def test_nothing_sent_since_was_delivered(self) -> None:
        given_ = Evidence(attempted={"x": 1, "y": 11}, acknowledged="xy", delivered=heard("x", since=12), over=10.0)

        assert judge(given_).recovery is None

    def test_the_slowest_listener_counts_where_all_are_to_hear(self) -> None:
        given_ = Evidence(
            attempted={"x": 11},
            acknowledged="x",
            delivered=[*heard("x", since=12), *heard("x", by="b", since=15)],
            listeners=["a", "b"],
            fan_out=True,
            over=10.0,
        )

        assert judge(given_).recovery == 5

    def test_one_deaf_listener_is_no_recovery(self) -> None:
        given_ = Evidence(
            attempted={"x": 11},
            acknowledged="x",
            delivered=heard("x", since=12),
            listeners=["a", "b"],
            fan_out=True,
            over=10.0,
        )

        assert judge(given_).recovery is None

    def test_a_late_double_does_not_prolong_it(self) -> None:
        doubled = [*heard("x", since=2), *heard("y", since=12), *heard("x", since=30, process="a-2")]
        given_ = Evidence(attempted={"x": 1, "y": 11}, acknowledged="xy", delivered=doubled, over=10.0)

        assert judge(given_).recovery == 2


FATES = st.lists(
    st.tuples(
        st.sampled_from(["fine", "doubled", "lost", "refused", "recovered", "dead", "forgotten"]),
        st.integers(min_value=0, max_value=2),
    ),
    max_size=60,
)
"""What becomes of each message, and who of three has to do with it."""
WHO = ("a", "b", "c")


def history(fates: Sequence[tuple[str, int]], *, fan_out: bool) -> Evidence:
    """Evidence in which exactly this has happened."""
    attempted: dict[str, float] = {}
    acknowledged, dead, forgotten = set[str](), set[str](), set[str]()
    delivered: list[Delivered] = []
    for number, (fate, who) in enumerate(fates):
        what = f"m{number}"
        attempted[what] = float(number)
        if fate not in ("refused", "recovered"):
            acknowledged.add(what)
        if fate == "dead":
            dead.add(what)
        if fate == "forgotten":
            forgotten.add(what)
        missed_by = {"lost": {WHO[who]}, "forgotten": {WHO[who]}, "refused": set(WHO), "dead": set(WHO)}
        hear = set(WHO) - missed_by.get(fate, set())
        if not fan_out:
            hear = {WHO[who]} if fate in ("fine", "doubled", "recovered") else set()
        delivered += [Delivered(what, name, f"{name}-1", number + 0.5) for name in sorted(hear)]
        if fate == "doubled":
            delivered.append(Delivered(what, WHO[who], f"{WHO[who]}-1", number + 0.6))
    return Evidence(
        attempted=attempted,
        acknowledged=acknowledged,
        delivered=delivered,
        dead=dead,
        forgotten=forgotten,
        listeners=WHO if fan_out else (),
        fan_out=fan_out,
    )


@pytest.mark.parametrize("fan_out", [False, True])
@given(fates=FATES)
def test_it_counts_what_was_planted(*, fan_out: bool, fates: list[tuple[str, int]]) -> None:
    planted = [fate for fate, _ in fates]

    verdict = judge(history(fates, fan_out=fan_out))

    assert verdict.attempted == len(planted)
    assert verdict.acknowledged == len(planted) - planted.count("refused") - planted.count("recovered")
    assert verdict.lost == planted.count("lost")
    assert verdict.duplicated == planted.count("doubled")
    assert verdict.recovered == planted.count("recovered")
    assert verdict.dead == planted.count("dead")
    assert verdict.forgotten == planted.count("forgotten")
    assert (verdict.unexpected, verdict.reordered) == (0, 0)


@pytest.mark.parametrize("fan_out", [False, True])
@given(fates=FATES)
def test_every_acknowledged_message_is_accounted_for_once(*, fan_out: bool, fates: list[tuple[str, int]]) -> None:
    found = history(fates, fan_out=fan_out)
    verdict = judge(found)
    everywhere = sum(fate in ("fine", "doubled") for fate, _ in fates)

    assert verdict.acknowledged == everywhere + verdict.lost + verdict.forgotten + verdict.dead


@given(fates=FATES, seed=st.integers())
def test_messages_that_nobody_sent_are_counted_wherever_they_turn_up(fates: list[tuple[str, int]], seed: int) -> None:
    found = history(fates, fan_out=False)
    strangers = [Delivered(f"?{number}", "a", "a-1", float(number)) for number in range(3)]
    mixed = [*found.delivered, *strangers]
    random.Random(seed).shuffle(mixed)

    verdict = judge(replace(found, delivered=mixed))

    assert verdict.unexpected == 3
    assert verdict.lost == judge(found).lost


@pytest.mark.parametrize("fan_out", [False, True])
@given(fates=FATES, seed=st.integers())
def test_the_order_of_the_lines_changes_nothing_but_the_order(
    *, fan_out: bool, fates: list[tuple[str, int]], seed: int
) -> None:
    found = history(fates, fan_out=fan_out)
    shuffled = list(found.delivered)
    random.Random(seed).shuffle(shuffled)

    verdict = judge(replace(found, delivered=shuffled))

    assert replace(verdict, reordered=0, recovery=None) == replace(judge(found), reordered=0, recovery=None)


@given(fates=FATES, seed=st.integers())
def test_how_the_journals_of_several_processes_are_put_together_changes_nothing(
    fates: list[tuple[str, int]], seed: int
) -> None:
    found = history(fates, fan_out=True)
    chance = random.Random(seed)
    journals = {name: [line for line in found.delivered if line.listener == name] for name in WHO}
    woven: list[Delivered] = []
    while any(journals.values()):
        name = chance.choice([name for name, left in journals.items() if left])
        woven.append(journals[name].pop(0))

    assert judge(replace(found, delivered=woven)) == judge(found)


@given(order=st.permutations(range(8)))
def test_each_message_after_a_later_one_is_out_of_order(order: list[int]) -> None:
    behind = sum(any(earlier > number for earlier in order[:place]) for place, number in enumerate(order))
    ids = [f"m{number}" for number in range(8)]

    verdict = judge(
        Evidence(attempted=sent(*ids), acknowledged=ids, delivered=heard(*(ids[number] for number in order)))
    )

    assert verdict.reordered == behind


def test_the_checker_knows_nothing_of_what_it_judges() -> None:
    """Only the standard library: whatever else it imported would be code under test, or know it."""
    tree = ast.parse(Path(checker.__file__).read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }

    assert imported <= sys.stdlib_module_names


def test_what_was_sent_after_all_was_well_again_and_is_lost_is_told_apart() -> None:
    # x is lost in the fault, which is over at 3; z is the first to be heard again
    lost = judge(
        Evidence(attempted=sent(*"wxyzq"), acknowledged=set("wxyzq"), delivered=heard(*"wz", since=3.5), over=3.0)
    )

    assert (lost.lost, lost.lost_later) == (3, 1)


def test_recovery_does_not_depend_on_which_journal_is_read_first() -> None:
    early, late = Delivered("x", "a", "a-9", 5.0), Delivered("x", "a", "a-10", 9.0)

    def recovery(*delivered: Delivered) -> float | None:
        return judge(
            Evidence(attempted={"x": 4.0}, acknowledged={"x"}, delivered=delivered, listeners=["a"], over=3.0)
        ).recovery

    assert recovery(early, late) == recovery(late, early)


def test_a_consumer_that_handles_nothing_any_more_is_not_hidden_by_another() -> None:
    at_work = heard(*"xyz", by="a")

    verdict = judge(
        Evidence(attempted=sent(*"xyz"), acknowledged=set("xyz"), delivered=at_work, listeners=["a", "stalled"])
    )

    assert (verdict.lost, verdict.recovery) == (0, None)
