"""Handlers of the lab misbehave on order, and write down what they finished and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.processes import ROOT
from lab.trials.poison import POISONED, SLOW

PROGRAM = """
import sys
from lab.trials.journal import work
from lab.trials.poison import CannotHandleError

for word in sys.argv[1:]:
    try:
        work(word)
    except CannotHandleError:
        print("raised", word)
"""


def handled(folder: Path, *ids: str, **environment: str) -> tuple[int, list[str], list[str]]:
    """The exit status of a process that works on these ids, what raised, and what it wrote down as done."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *ids],
        cwd=ROOT,
        env={"JOURNAL": str(folder), "LISTENER": "a", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    written = [line.split() for journal in folder.glob("*.journal") for line in journal.read_text().splitlines()]
    raised = [line.removeprefix("raised ") for line in ran.stdout.splitlines()]
    return ran.returncode, raised, [words[1] for words in written if words[0] == "done"]


def test_a_message_is_written_down_when_it_is_done(tmp_path: Path) -> None:
    assert handled(tmp_path, "x", "y") == (0, [], ["x", "y"])


def test_the_poison_ends_the_process(tmp_path: Path) -> None:
    assert handled(tmp_path, "x", "bad", "y", POISON="bad") == (POISONED, [], ["x"])


def test_where_handlers_raise_the_poison_raises_as_well_and_is_not_done(tmp_path: Path) -> None:
    assert handled(tmp_path, "x", "bad", "y", POISON="bad", RAISES="1e-9") == (0, ["bad"], ["x", "y"])


def test_once_it_is_calm_only_the_poison_raises(tmp_path: Path) -> None:
    assert handled(tmp_path, "x", RAISES="1") == (0, ["x"], [])

    (tmp_path / "calm").touch()

    assert handled(tmp_path, "y", "bad", POISON="bad", RAISES="1") == (0, ["bad"], ["y"])


@pytest.mark.parametrize(("message_id", "slow"), [(f"{SLOW}-1", True), ("1", False)])
def test_only_a_slow_message_takes_long(tmp_path: Path, message_id: str, slow: bool) -> None:
    handled(tmp_path, message_id, SLOW_SECONDS="0.3")

    (journal,) = tmp_path.glob("*.journal")
    begun, done = (float(line.split()[2]) for line in journal.read_text().splitlines())
    assert (done - begun >= 0.3) == slow
