"""Moments mean the same wherever the machine stands: all tests run under a zone that is not UTC."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis
from conftest import Run, Start
from dead_letter_box import due
from messages import wire

HOUR = 3600


def test_the_tests_and_what_they_start_run_under_another_zone(run: Run) -> None:
    assert time.localtime(0).tm_gmtoff == -3.5 * HOUR

    shown = run("timeit", "--number=1", "--repeat=1", "import time; print(time.localtime(0).tm_gmtoff)")

    assert "-12600" in shown.lines


def test_a_naive_timestamp_is_printed_as_it_is(start: Start, client: redis.Redis) -> None:
    # Given a message of a program that means UTC and does not say so
    subscriber = start("subscriber", PATTERN="queue")

    client.rpush("message_queue", wire("naive", timestamp="2025-07-29T08:32:00"))

    subscriber.wait_for("[2025-07-29 08:32:00] [a-test] naive")


def test_log_lines_are_in_utc(start: Start) -> None:
    for form in ("json", "text"):
        service = start("subscriber", PATTERN="queue", LOG_FORMAT=form)
        [line] = service.wait_for("connected to Redis")
        said = json.loads(line)["time"] if form == "json" else line[1:20] + "+00:00"
        moment = datetime.fromisoformat(said)

        assert moment.utcoffset() == timedelta(0)
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=2)


@pytest.mark.parametrize("said", ["2030-07-01T12:00:00+02:00", "2030-07-01T10:00:00"])
def test_a_moment_to_send_at_is_what_it_says(run: Run, client: redis.Redis, said: str) -> None:
    assert run("publisher", "later", "--at", said, PATTERN="reliable").status == 0

    assert due(client) == datetime(2030, 7, 1, 10, tzinfo=UTC).timestamp()
    assert run("subscriber", "scheduled").matching("2030-07-01 10:00:00")
