"""Healthy means that every loop turns and Redis answers."""

import json
import time
from pathlib import Path

import pytest

from townpost.health import check, diagnose, write

STALL_SECONDS = 30.0


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "health"


def ago(seconds: float) -> float:
    return time.monotonic() - seconds


def test_all_is_well(report: Path) -> None:
    write(report, {"pubsub": ago(1), "queue": ago(29)}, redis_answered=ago(1))

    assert diagnose(report, STALL_SECONDS) is None


def test_a_service_that_has_not_started_has_no_report(report: Path) -> None:
    assert diagnose(report, STALL_SECONDS) == f"no report at HEALTH_FILE={report}: the service has not started"


def test_an_old_report_means_a_dead_service(report: Path) -> None:
    report.write_text(json.dumps({"at": ago(60), "turns": {"queue": ago(60)}, "redis": ago(60)}))

    assert diagnose(report, STALL_SECONDS) == "the service has not reported for 60 s"


def test_a_silent_redis_is_unhealthy(report: Path) -> None:
    write(report, {"queue": ago(0)}, redis_answered=ago(60))

    assert diagnose(report, STALL_SECONDS) == "Redis has not answered for 60 s"


def test_one_stalled_loop_is_unhealthy_though_redis_answers(report: Path) -> None:
    write(report, {"pubsub": ago(0), "queue": ago(60)}, redis_answered=ago(0))

    assert diagnose(report, STALL_SECONDS) == "the queue loop has stalled for 60 s (HEALTH_SECONDS=30)"


def test_how_long_a_loop_may_take_is_a_setting(report: Path) -> None:
    write(report, {"queue": ago(60)}, redis_answered=ago(0))

    assert diagnose(report, 300.0) is None


def test_a_reader_never_sees_half_a_report(report: Path) -> None:
    write(report, {"queue": 1.0}, redis_answered=1.0)
    with report.open() as old:
        write(report, {"queue": 2.0}, redis_answered=2.0)

        assert json.loads(old.read())["turns"] == {"queue": 1.0}
    assert json.loads(report.read_text())["turns"] == {"queue": 2.0}


def test_only_the_report_is_left_behind(report: Path) -> None:
    write(report, {}, redis_answered=1.0)

    assert list(report.parent.iterdir()) == [report]


def test_a_report_does_not_touch_its_neighbours(tmp_path: Path) -> None:
    neighbour = tmp_path / "health.new"
    neighbour.write_text("another instance's")

    write(tmp_path / "health.publisher", {}, redis_answered=1.0)

    assert neighbour.exists()
    assert neighbour.read_text() == "another instance's"


def test_the_check_of_a_well_service_is_silent(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(report, {"queue": ago(0)}, redis_answered=ago(0))

    assert check(report, STALL_SECONDS) == 0
    assert capsys.readouterr() == ("", "")


def test_the_check_of_another_fails_and_says_why(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(report, STALL_SECONDS) == 1
    assert capsys.readouterr().err.startswith("unhealthy: no report")


def test_without_a_file_there_is_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(None, STALL_SECONDS) == 1
    assert "HEALTH_FILE" in capsys.readouterr().err
