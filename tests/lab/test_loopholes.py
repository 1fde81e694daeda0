"""What a verdict of the lab still lets through. Each is expected to fail until it is mended; then its mark must go."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.faults.contract import Breaks
from lab.trials.checker import Delivered, Evidence, Verdict, judge
from lab.trials.promises import Circumstances, broken
from lab.trials.records import Records
from shared.patterns import PATTERNS

LOOPHOLE = pytest.mark.xfail(strict=True, raises=AssertionError)
KEPT = Verdict(
    attempted=1000,
    acknowledged=1000,
    delivered=1000,
    lost=0,
    forgotten=0,
    unexpected=0,
    duplicated=0,
    recovered=0,
    dead=0,
    reordered=0,
    recovery=1.0,
)


def found(pattern: str, verdict: Verdict, *breaks: Breaks, hits: int = 0, set_aside: int = 0) -> list[str]:
    what = Circumstances(breaks=frozenset(breaks), hits=hits, set_aside=set_aside, once=False)
    return broken(PATTERNS[pattern].guarantees, what, verdict)


@LOOPHOLE
@pytest.mark.parametrize("pattern", [name for name, pattern in PATTERNS.items() if pattern.guarantees.ordered])
def test_who_promises_order_is_held_to_it(pattern: str) -> None:
    assert found(pattern, replace(KEPT, reordered=900))


@LOOPHOLE
def test_a_publisher_that_gets_nothing_acknowledged_acquits_nobody() -> None:
    assert found("reliable", replace(KEPT, acknowledged=0, delivered=1, recovered=1))


@LOOPHOLE
def test_without_a_fault_every_attempt_is_acknowledged() -> None:
    assert found("reliable", replace(KEPT, acknowledged=500, delivered=500))


@LOOPHOLE
def test_what_is_unreadable_does_not_excuse_doubles_of_what_is_not() -> None:
    assert found("reliable", replace(KEPT, duplicated=1000, dead=16), Breaks.MESSAGE, set_aside=16)


@LOOPHOLE
def test_one_kill_does_not_excuse_a_double_of_every_message() -> None:
    assert found("reliable", replace(KEPT, duplicated=1000), Breaks.CONSUMER, hits=1)


@LOOPHOLE
def test_a_pause_does_not_excuse_a_queue_that_loses_all_but_one() -> None:
    assert found("queue", replace(KEPT, lost=999, delivered=1), Breaks.LINK, hits=24)


@LOOPHOLE
def test_a_publisher_killed_in_mid_line_does_not_cost_an_honest_queue_its_name(tmp_path: Path) -> None:
    """The next publisher appends to the same file, so that half an id and a whole one become one line."""
    first, second = "1" * 36, "2" * 36
    records = Records(tmp_path)
    records.receipts.write_text(f"{first[:20]}{second}\n")
    records.refresh()
    heard = [Delivered(first, "a", "a-1", 1.0), Delivered(second, "a", "a-1", 2.0)]

    verdict = judge(Evidence(attempted={first: 1.0, second: 2.0}, acknowledged=records.acknowledged, delivered=heard))

    assert verdict.lost == 0


@LOOPHOLE
def test_recovery_does_not_depend_on_which_journal_is_read_first() -> None:
    early, late = Delivered("x", "a", "a-9", 5.0), Delivered("x", "a", "a-10", 9.0)

    def recovery(*delivered: Delivered) -> float | None:
        return judge(
            Evidence(attempted={"x": 4.0}, acknowledged={"x"}, delivered=delivered, listeners=["a"], over=3.0)
        ).recovery

    assert recovery(early, late) == recovery(late, early)
