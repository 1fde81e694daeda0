"""Whole trials with real processes: the guilty are convicted, the honest acquitted, and nothing is left."""

import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.faults import FAULTS
from lab.trials import trial
from lab.trials.fault import Fault, NotStruckError
from lab.trials.subjects import PLANTED, SUBJECTS, SUSPECTS, Subject
from lab.trials.town import CancelledError, Town
from lab.trials.trial import Cell, attempt

pytestmark = pytest.mark.slow

LEFT_BEHIND = ("townpost-trial-*", "townpost-server-*")
RELIABLE = SUBJECTS["reliable"]


def children() -> set[int]:
    """Ids of the processes that this one has started and not yet seen the end of."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No child, no thread that looks after one, no folder; the folders are ours alone, whatever else runs here."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = children()
    yield
    assert children() <= before
    assert [path for pattern in LEFT_BEHIND for path in tmp_path.glob(pattern)] == []
    assert not [thread for thread in threading.enumerate() if thread.name == "crew"]


def tried(subject: Subject, fault: Fault | str, seed: int) -> Cell:
    chosen = FAULTS[fault] if isinstance(fault, str) else fault
    return attempt(subject, chosen, seed, threading.Event())


def brief(town: Town) -> None:
    """As little as it takes: every hundredth message is among these, for each of two consumers."""
    town.feed.burst(260)
    town.until(lambda: len(town.records.done) >= 250, "nothing was handled", 15)


NOTHING = replace(FAULTS["nothing"], strike=brief)


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted consumers have none: what they have not done two seconds later they will never do."""
    monkeypatch.setattr(trial, "_QUIET_REDELIVERY_SECONDS", 2.0)
    monkeypatch.setattr(trial, "_AFTERMATH_SECONDS", 0.3)
    monkeypatch.setattr(trial, "LEASE_SECONDS", 0.1)


@pytest.mark.usefixtures("no_leases")
@pytest.mark.parametrize("seed", [1, 2])
def test_who_acknowledges_first_is_convicted_of_a_loss(seed: int) -> None:
    cell = tried(SUSPECTS["acks-first"], PLANTED["acks-first"], seed)

    assert cell.verdict is not None
    assert cell.verdict.lost == 1
    assert cell.broken == ("1 lost",)


@pytest.mark.usefixtures("no_leases")
def test_who_drops_some_is_convicted_of_each() -> None:
    cell = tried(SUSPECTS["drops-every-100th"], NOTHING, 3)

    assert cell.verdict is not None
    assert cell.verdict.lost in (cell.verdict.acknowledged // 100, cell.verdict.acknowledged // 100 - 1)
    assert cell.broken[0] == f"{cell.verdict.lost} lost"
    assert all(" lost" in promise for promise in cell.broken)  # among them some that were sent in the calm at the end


@pytest.mark.usefixtures("no_leases")
def test_who_handles_twice_is_convicted_of_doubles_alone() -> None:
    cell = tried(SUSPECTS["handles-twice"], NOTHING, 4)

    assert cell.verdict is not None
    assert cell.verdict.duplicated in (cell.verdict.acknowledged // 100, cell.verdict.acknowledged // 100 - 1)
    assert cell.broken == (f"{cell.verdict.duplicated} came twice",)


@pytest.mark.parametrize("fault", sorted(set(PLANTED.values())))
def test_the_honest_are_acquitted_of_the_same(fault: str) -> None:
    cell = tried(RELIABLE, NOTHING if fault == "nothing" else fault, 1)

    assert cell.verdict is not None
    assert cell.broken == ()
    assert cell.verdict.lost == 0
    assert cell.verdict.acknowledged == cell.verdict.attempted == cell.verdict.delivered


def test_what_was_not_struck_has_no_figure() -> None:
    def miss(_: Town) -> None:
        raise NotStruckError("it was not there")

    cell = tried(RELIABLE, replace(NOTHING, strike=miss), 1)

    assert (cell.verdict, cell.failed, cell.problem) == (None, True, "it was not there")


def test_what_cannot_be_tried_yet_says_so_and_starts_nothing() -> None:
    cell = tried(RELIABLE, "failover", 1)

    assert (cell.verdict, cell.failed) == (None, False)
    assert "Sentinel" in cell.problem


def test_an_error_in_the_middle_leaves_nothing_behind() -> None:
    def stumble(_: Town) -> None:
        raise ZeroDivisionError

    cell = tried(RELIABLE, replace(NOTHING, strike=stumble), 1)

    assert (cell.verdict, cell.failed) == (None, True)
    assert cell.problem.startswith("ZeroDivisionError")


@pytest.mark.parametrize("moment", ["frozen", "paused"])
def test_cancelled_in_the_middle_leaves_nothing_behind(moment: str) -> None:
    cancelled = threading.Event()

    def strike(town: Town) -> None:
        town.run(0.1)
        if moment == "frozen":
            town.freeze(town.consumers[0])
        if moment == "paused":
            town.server.pause()
        cancelled.set()
        town.run(60)

    fault = replace(NOTHING, strike=strike, proxied="everybody")

    with pytest.raises(CancelledError):
        attempt(RELIABLE, fault, 1, cancelled)


def test_cancelled_before_it_began_leaves_nothing_behind() -> None:
    cancelled = threading.Event()
    cancelled.set()

    with pytest.raises(CancelledError):
        attempt(RELIABLE, NOTHING, 1, cancelled)
