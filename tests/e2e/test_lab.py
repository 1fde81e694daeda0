"""`python -m lab faults` as a person or CI runs it: what it prints, writes and returns, and leaves behind."""

import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab import faults_command
from lab.processes import ROOT
from lab.report import data
from lab.trials.subjects import SUBJECTS, SUSPECTS

pytestmark = pytest.mark.slow

LAB = [sys.executable, "-m", "lab", "faults"]


def _lab(*arguments: str, tmp: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LAB, *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _descendants(pid: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def test_it_prints_and_writes_the_matrix(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()

    lab = _lab("--faults", "nothing,failover", "--patterns", "queue,naive-queue", "--out", str(out), tmp=tmp_path)
    printed, progress = lab.communicate(timeout=100)

    assert lab.returncode == 0, progress
    assert "nothing goes wrong" in printed
    assert "planted fault 'handles-twice' under 'nothing': convicted" in printed
    assert "[  7/7]" in progress
    matrix = data.loads((out / "data" / "faults.json").read_text())
    assert [cell.verdict and cell.verdict.lost for cell in matrix.cells if cell.fault == "nothing"] == [0, 0]
    assert "| Sentinel failover | \N{MIDDLE DOT} not run yet |" in (out / "faults.md").read_text()
    assert ET.parse(out / "data" / "faults.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own
    assert list(tmp_path.iterdir()) == [out]


def test_ctrl_c_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    # Given a run with servers, publishers and consumers at work
    lab = _lab("--faults", "killed-in-a-storm,redis-paused", "--patterns", "reliable,pubsub", tmp=tmp_path)
    try:
        while len(list(tmp_path.glob("townpost-trial-*/*.journal"))) < 8:
            assert lab.poll() is None
        children = _descendants(lab.pid)
        assert len(children) > 8

        lab.send_signal(signal.SIGINT)
        _, said = lab.communicate(timeout=60)
    finally:
        lab.kill()

    assert lab.returncode == 130
    assert said.splitlines()[-1] == "lab: interrupted; what was running is stopped and removed"
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--faults", "--patterns"])
def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path, option: str) -> None:
    lab = _lab(option, "earthquake", tmp=tmp_path)
    _, said = lab.communicate(timeout=30)

    assert lab.returncode == 2
    assert said.startswith(f"lab: {option} earthquake: there is none of that name; choose from ")
    assert said.count("\n") == 1


def test_the_list_tells_each_fault_s_story(tmp_path: Path) -> None:
    printed, _ = _lab("--list", tmp=tmp_path).communicate(timeout=30)

    assert "killed-at-work\n    A consumer is killed in the middle of a message.\n" in printed


@pytest.fixture
def signals() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_broken_guarantee_makes_the_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a pattern that promises to lose nothing, and drops every hundredth
    monkeypatch.setitem(SUBJECTS, "reliable", SUSPECTS["drops-every-100th"])
    given = Namespace(faults="nothing", patterns="reliable", seed=1, quick=False, at_a_time=None, out=None, list=False)

    assert faults_command.run(given) == 1
    assert "\N{BALLOT X}" in capsys.readouterr().out
