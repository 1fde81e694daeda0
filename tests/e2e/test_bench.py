"""`python -m lab bench` in its smallest form: whether it measures and shows, never how fast anything is."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import redis

from lab.bench.figures import Figure, Result
from lab.bench.goals import Goal
from lab.bench.picture import svg
from lab.bench.tally import MOST_STAMPS, Tally, counter, in_flight, stopwatch
from lab.processes import ROOT
from lab.server import Server


def _bench(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "lab", "bench", "--peers", "no", "--rounds", "1", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _figure(contestant: str, *values: float, limit: str = "limit") -> Figure:
    return Figure(measure="drain", contestant=contestant, quantity="drain", unit="msg/s", values=values, limit=limit)


def test_a_ratio_is_the_median_of_the_rounds_so_that_a_slow_minute_hits_both() -> None:
    figures = [_figure("naive loop", 10, 1, 10), _figure("ours", 100, 10, 50), _figure("limit", 200, 20, math.nan)]
    result = Result(context={}, figures=figures)

    assert result.ratio(figures[1], "naive loop") == 10
    assert result.ratio(figures[1], "limit") == 0.5
    assert Goal("", "drain", "drain", "ours", "naive loop", 10).met(10)


def test_a_goal_against_several_holds_against_the_best_of_them() -> None:
    figures = [_figure("ours", 100), _figure("a peer", 10), _figure("a better peer", 20), _figure("failed", math.nan)]
    goal = Goal("", "drain", "drain", "ours", lambda figure: figure.contestant != "ours", 6)

    found = goal.found(Result(context={}, figures=figures))

    assert found == 5
    assert not goal.met(found)


def test_a_goal_can_hold_one_quantity_against_another() -> None:
    slow = Figure(measure="send", contestant="ours", quantity="p99", unit="us", values=[2])
    usual = Figure(measure="send", contestant="a peer", quantity="p50", unit="us", values=[4])
    goal = Goal("", "send", "p99", "ours", "a peer", 1, at_least=False, of_other="p50")

    assert goal.found(Result(context={}, figures=[slow, usual])) == 0.5


def test_handlers_in_flight_are_counted_process_by_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TALLY", str(tmp_path / "tally"))
    tally = Tally(tmp_path / "tally")
    done, change = counter(), in_flight()

    for by in (1, 1, -1, 1, -1, -1):
        change(by)
    done(1)

    assert tally.most_in_flight == 2
    assert tally.each == [1]


def test_a_stopwatch_keeps_the_last_delays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TALLY", str(tmp_path / "tally"))
    tally = Tally(tmp_path / "tally")
    stop = stopwatch()

    for _ in range(3):
        stop(time.monotonic_ns() - 1_000_000_000)
    some = tally.kept()
    for _ in range(2 * MOST_STAMPS):
        stop(time.monotonic_ns() - 1_000_000)

    assert some == pytest.approx([1, 1, 1], abs=0.5)
    assert len(tally.kept()) == MOST_STAMPS - 1
    assert max(tally.kept()) < 0.9


def test_who_could_not_take_part_is_in_the_data_and_not_in_the_picture() -> None:
    failed = Figure(
        measure="drain", contestant="a peer", quantity="drain", unit="msg/s", values=[math.nan], failure="not there"
    )
    result = Result(context={"server": "x"}, figures=[_figure("naive loop", 10), failed])

    written = Result.from_json(result.to_json())
    assert written.figures[1].failure == "not there"
    assert math.isnan(written.ratio(written.figures[1], "naive loop"))
    assert "a peer" not in svg(result)


def test_of_two_settings_the_picture_shows_the_better() -> None:
    result = Result(context={}, figures=[_figure("a peer, plain", 10), _figure("a peer, tuned", 20)])

    assert "a peer, tuned" in svg(result)
    assert "a peer, plain" not in svg(result)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_small_run_gives_a_table_json_and_a_picture_and_leaves_nothing(tmp_path: Path, server: Server) -> None:
    bench = _bench(
        "--only", "drain", "--only", "memory", "--scale", "0.02", "--out", str(tmp_path), REDIS_URL=server.url
    )
    out, err = bench.communicate(timeout=50)

    assert bench.returncode == 0, err
    assert "townpost reliable" in out
    result = Result.from_json((tmp_path / "data" / "bench.json").read_text())
    rows = {(row.measure, row.contestant, row.quantity): row for row in result.figures}
    drained = rows["drain", "townpost queue", "drain"]
    assert drained.failure == ""
    assert min(drained.values) > 0
    assert result.ratio(drained, "naive loop") > 0
    assert result.ratio(drained, drained.limit) > 0
    kept = rows["memory", "townpost reliable", "memory"]
    assert result.ratio(kept, kept.limit) == pytest.approx(1, abs=0.1)
    picture = ET.parse(tmp_path / "data" / "bench.svg").getroot()  # noqa: S314 - our own
    assert "townpost queue" in "".join(picture.itertext())
    with redis.Redis(port=server.port) as client:
        assert client.dbsize() == 0


def test_a_database_that_holds_something_is_refused(server: Server, client: redis.Redis) -> None:
    client.set("somebodys", "key")

    out, err = _bench("--only", "memory", REDIS_URL=server.url).communicate(timeout=30)

    assert (out, "not empty" in err) == ("", True)
    assert client.get("somebodys") == b"key"


def test_ctrl_c_ends_it_with_what_there_is_and_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    bench = _bench("--only", "drain", TMPDIR=str(tmp_path))
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("*/1.log")) and time.monotonic() < deadline:
        time.sleep(0.05)
    bench.send_signal(signal.SIGINT)
    bench.communicate(timeout=20)

    assert bench.returncode == 130
    assert list(tmp_path.iterdir()) == []
