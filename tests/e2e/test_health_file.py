"""The health report of a service, and what happens where it cannot be written."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run, Start

SERVICES = ("publisher", "subscriber", "tasks.indexer")


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _newer(report: Path, moment: float) -> bool:
    return report.exists() and json.loads(report.read_text())["at"] > moment


@pytest.mark.parametrize("module", SERVICES)
def test_a_report_that_could_not_be_written_is_written_when_it_can_be(
    start: Start, run: Run, tmp_path: Path, module: str
) -> None:
    # Given a service that reports to a folder, which then goes away (another mount, a full disk) for two reports
    folder = tmp_path / "reports"
    folder.mkdir()
    environment = {"HEALTH_FILE": str(folder / "health"), "PATTERN": "reliable", "API_URL": "http://127.0.0.1:1"}
    service = start(module, **environment)
    until((folder / "health").exists)
    shutil.rmtree(folder)
    service.wait_for("HEALTH_FILE", "cannot be written")
    away = time.monotonic()
    assert run(module, "health", **environment).status != 0
    until(lambda: time.monotonic() > away + 2.5)

    # When it is there again
    folder.mkdir()

    # Then the service is well, and was told about once
    until(lambda: _newer(folder / "health", away))
    assert run(module, "health", **environment).status == 0
    service.wait_for("HEALTH_FILE", "is written again")
    assert len(service.matching("cannot be written")) == 1


def test_a_second_outage_of_the_report_is_told_as_well(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    service = start("subscriber", HEALTH_FILE=str(folder / "health"), PATTERN="queue")

    for times in (1, 2):
        until((folder / "health").exists)
        shutil.rmtree(folder)
        service.wait_for("cannot be written", count=times)
        folder.mkdir()
        service.wait_for("is written again", count=times)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"at": "now", "turns": {}, "redis": 1}', '{"at": 1e9, "turns": 5, "redis": 1e9}']
)
def test_a_report_of_somebody_else_is_unhealthy_in_one_line(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "health").write_text(text)

    check = run("subscriber", "health", HEALTH_FILE=str(tmp_path / "health"))

    assert check.status == 1
    assert [line for line in check.lines if "no report can be read at HEALTH_FILE" in line] == check.lines
