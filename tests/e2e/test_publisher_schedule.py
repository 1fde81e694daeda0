"""The publisher's ways to schedule, and what is scheduled or in flight as the command line lists it."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis
from conftest import Run
from dead_letter_box import WIDE, Q, due, waiting
from messages import wire

from lab.server import Server
from townpost import keys
from townpost.counts import Counts
from townpost.patterns.reliable.listener import ReliableListener
from townpost.redis.connection import Connection
from townpost.settings import Settings


def test_an_urgent_message_is_sent(run: Run, client: redis.Redis) -> None:
    client.rpush(Q, wire("waiting"))

    assert run("publisher", "urgent", "--pattern", "reliable", "--priority", "9").status == 0

    (member,) = client.zrange(keys.of(Q).priority, 0, -1)
    assert b'"priority":9' in member
    assert waiting(client) == ["waiting"]


def test_a_delay_counts_from_now(run: Run, client: redis.Redis) -> None:
    assert run("publisher", "later", "--pattern", "reliable", "--delay", "60").status == 0

    assert 0 < due(client) - time.time() <= 60
    assert client.llen(Q) == 0


@pytest.mark.parametrize("arguments", [("--delay", "0"), ("--at", "1955-01-01")])
def test_what_is_due_already_is_ready(run: Run, client: redis.Redis, arguments: tuple[str, str]) -> None:
    assert run("publisher", "now", "--pattern", "reliable", *arguments).status == 0

    assert waiting(client) == ["now"]
    assert client.exists(keys.of(Q).scheduled) == 0


@pytest.mark.parametrize("at", ["2099-01-02T03:04:05", "2099-01-02T08:34:05+05:30"])
def test_a_moment_without_a_zone_is_utc(run: Run, client: redis.Redis, at: str) -> None:
    # Given a machine that lives elsewhere
    assert run("publisher", "then", "--pattern", "reliable", "--at", at, TZ="America/New_York").status == 0

    assert datetime.fromtimestamp(due(client), UTC) == datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("pattern", ["queue", "reliable,queue"])
def test_a_pattern_that_cannot_delay_is_named(run: Run, client: redis.Redis, pattern: str) -> None:
    said = run("publisher", "later", "--delay", "1", PATTERN=pattern)

    assert said.status == 2
    assert said.lines == [f"publisher: PATTERN={pattern} cannot delay a message: use --pattern reliable"]
    assert client.keys("*") == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--at", "soon"),
        ("--delay", "nan"),
        ("--priority", "10"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(run: Run, client: redis.Redis, option: str, value: str) -> None:
    said = run("publisher", "x", "--pattern", "reliable", f"{option}={value}")

    assert said.status == 2
    assert f"argument {option}: " in said.lines[-1]
    assert "_moment" not in said.lines[-1]
    assert "_seconds" not in said.lines[-1]
    assert client.keys("*") == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("--delay", "1e300"), ("--delay", "1e306"), ("--at", "9999-12-31T23:59:59-14:00")],
)
def test_a_moment_that_no_calendar_has_is_refused_or_can_be_listed(
    run: Run, client: redis.Redis, option: str, value: str
) -> None:
    sent = run("publisher", "never", "--pattern", "reliable", option, value)

    assert not sent.matching("Traceback")
    if sent.status == 0:
        assert due(client) > time.time()
        assert run("subscriber", "scheduled").status == 0
    else:
        assert sent.status == 2
        assert client.keys("*") == []


def test_delay_and_at_exclude_each_other(run: Run) -> None:
    said = run("publisher", "x", "--pattern", "reliable", "--delay", "1", "--at", "2099-01-01")

    assert said.status == 2
    assert "not allowed with" in said.lines[-1]


def test_what_is_scheduled_is_listed(run: Run, client: redis.Redis) -> None:
    assert run("publisher", "later", "--pattern", "reliable", "--at", "2099-01-02T03:04:05Z").status == 0
    assert run("publisher", "sooner", "--pattern", "reliable", "--delay", "3600").status == 0

    listed = run("subscriber", "scheduled", "--json")
    table = run("subscriber", "scheduled", COLUMNS=WIDE)

    sooner, later = map(json.loads, listed.lines)
    assert json.loads(sooner["payload"])["message"] == "sooner"
    assert timedelta(minutes=59) < datetime.fromisoformat(sooner["due"]) - datetime.now(UTC) <= timedelta(hours=1)
    assert later["due"] == "2099-01-02T03:04:05+00:00"
    assert (listed.status, table.status) == (0, 0)
    assert table.matching("2099-01-02 03:04:05")
    assert client.llen(Q) == 0


def test_what_is_in_flight_is_listed(server: Server, run: Run, client: redis.Redis) -> None:
    # Given a consumer with two messages in flight
    client.rpush(Q, wire(), wire())
    settings = Settings.read(redis_url=server.url, pattern="reliable", prefetch=10)
    listener = ReliableListener(settings, Connection(settings.url), Counts())
    listener.open()
    assert len(listener.take(10)) == 2

    (line,) = run("subscriber", "in-flight", "--json").lines
    table = run("subscriber", "in-flight", COLUMNS=WIDE)

    claim = json.loads(line)
    assert claim["messages"] == 2
    assert claim["claim"].startswith(f"{{{Q}}}:claim:")
    assert timedelta() < datetime.fromisoformat(claim["until"]) - datetime.now(UTC) <= timedelta(seconds=31)
    assert table.matching(claim["claim"], " 2 ")
    listener.close()
