"""Dead letters, scheduled messages and claims from the command line; and the publisher's ways to schedule."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest
import redis
from conftest import Start
from messages import wire

from lab.processes import ROOT, Process
from lab.server import Server
from shared import keys
from shared.connection import Link
from shared.counts import Counts
from shared.patterns.reliable.listener import ReliableListener
from shared.settings import Settings

Q = "reliable_queue"
S = "message_stream"
WIDE = "250"
"""COLUMNS, so that nothing is wrapped."""
NASTY = b"\xff\x1b[2J\x1b]0;owned\x07[red]fake[/red] :smile:\r\nline\xe2\x80\xae"

Run: TypeAlias = Callable[..., Process]
Field: TypeAlias = "bytes | bytearray | memoryview[int] | str | int | float"


@pytest.fixture
def run(start: Start) -> Run:
    def _run(module: str, *arguments: str, url: str | None = None, **environment: str) -> Process:
        process = start(module, *arguments, url=url, **environment)
        process.wait(60)
        return process

    return _run


def bury(client: redis.Redis, text: str = "hi", reason: str = "failed", **changed: bytes | str) -> str:
    """Add a dead letter as settle.lua does; its id."""
    name = str(changed.pop("origin", Q))
    fields: dict[Field, Field] = {
        "payload": wire(text),
        "reason": reason,
        "error": "ValueError: no good",
        "attempts": "3",
        "crashes": "1",
        "history": "[]",
        "by": "host-1-abc",
    }
    fields |= dict(changed.items())
    entry_id = client.xadd(keys.dead(name), fields)
    assert isinstance(entry_id, bytes)
    return entry_id.decode()


def waiting(client: redis.Redis) -> list[str]:
    """The texts in the reliable queue."""
    return [json.loads(payload)["message"] for payload in client.lrange(Q, 0, -1)]


def due(client: redis.Redis) -> float:
    """The time of the one scheduled message, in seconds."""
    (milliseconds,) = [float(pair[1]) for pair in client.zrange(keys.scheduled(Q), 0, -1, withscores=True)]
    return milliseconds / 1000


def left(client: redis.Redis, origin: str = Q) -> int:
    return int(client.xlen(keys.dead(origin)))


def on_terminal(server: Server, *arguments: str, answer: bytes | None = None) -> tuple[int, str]:
    """What the subscriber does and shows at a terminal where somebody types this answer."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "subscriber", *arguments],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATH": "", "TERM": "xterm", "COLUMNS": WIDE},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
            if answer is not None and b"[y/N]" in shown:
                os.write(ours, answer)
                answer = None
    except OSError:
        pass  # it has closed its end
    os.close(ours)
    return process.wait(30), shown.decode(errors="backslashreplace")


# dead letters: looking


def test_dead_letters_are_listed(run: Run, client: redis.Redis) -> None:
    first = bury(client, "a", error="ValueError: of a")
    second = bury(client, "b", reason="crashed", payload=b"short")

    listed = run("subscriber", "dead", "list", COLUMNS=WIDE)

    assert listed.status == 0
    assert listed.matching("id", "died (UTC)", "reason", "attempts", "crashes", "error", "payload")
    assert listed.matching(first, "failed", " 3 ", " 1 ", "ValueError: of a", f"({len(wire('a'))} bytes)")
    assert listed.matching(second, "crashed", "short")
    assert left(client) == 2


def test_ids_are_whole_in_eighty_columns(run: Run, client: redis.Redis) -> None:
    one = bury(client)

    listed = run("subscriber", "dead", "list", COLUMNS="80")

    assert listed.matching(one)


def test_dead_letters_are_listed_as_json(run: Run, client: redis.Redis) -> None:
    past = {"id": "1-0", "reason": "failed", "error": "ValueError", "attempts": 5, "crashes": 0, "by": "host-2"}
    payload = wire("a")
    one = bury(client, payload=payload, history=json.dumps([past]))
    bury(client, payload=NASTY)

    listed = run("subscriber", "dead", "list", "--json")

    assert listed.status == 0
    first, second = map(json.loads, listed.lines)
    at = datetime.fromisoformat(first.pop("at"))
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=2)
    assert first == {
        "id": one,
        "reason": "failed",
        "error": "ValueError: no good",
        "attempts": 3,
        "crashes": 1,
        "by": "host-1-abc",
        "payload": payload.decode(),
        "history": [past],
    }
    assert second["payload"] == NASTY.decode(errors="backslashreplace")
    assert not any("\x1b" in line for line in listed.lines)


def test_they_are_selected_by_reason(run: Run, client: redis.Redis) -> None:
    for reason in ("failed", "crashed", "unreadable", "failed"):
        bury(client, reason=reason)

    listed = run("subscriber", "dead", "list", "--json", "--reason", "failed")

    assert [json.loads(line)["reason"] for line in listed.lines] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("dead", "list"), "no dead letters"),
        (("scheduled",), "nothing is scheduled"),
        (("in-hand",), "nothing is in hand"),
    ],
)
def test_nothing_there_is_said(run: Run, arguments: tuple[str, ...], line: str) -> None:
    said = run("subscriber", *arguments)

    assert (said.status, said.lines) == (0, [line])


def test_nothing_there_is_no_line_of_json(run: Run) -> None:
    said = run("subscriber", "dead", "list", "--json")

    assert (said.status, said.lines) == (0, [])


def test_one_is_shown_with_everything(run: Run, client: redis.Redis) -> None:
    bury(client)
    one = bury(client, "this one")

    shown = run("subscriber", "dead", "show", one)

    assert shown.status == 0
    letter = json.loads("\n".join(shown.lines))
    assert letter["id"] == one
    assert json.loads(letter["payload"])["message"] == "this one"


@pytest.mark.parametrize("arguments", [("show",), ("requeue", "--yes")])
def test_an_id_that_is_not_there_is_named(run: Run, client: redis.Redis, arguments: tuple[str, ...]) -> None:
    bury(client)

    said = run("subscriber", "dead", *arguments, "1-1")

    assert said.status == 1
    assert len(said.lines) == 1
    assert said.lines[0].startswith("subscriber: there is no ")
    assert left(client) == 1


def test_an_id_that_is_none_is_one_line(start: Start) -> None:
    for said in [start("subscriber", "dead", "show", text) for text in ("1-", "\u00b2", "9" * 20, "\x1b[2J")]:
        assert said.wait(60) == 2, said.lines
        assert len(said.lines) == 1
        assert "is not the id of a dead letter" in said.lines[0]
        assert "\x1b" not in said.lines[0]


def test_what_a_message_holds_does_not_steer_the_terminal(server: Server, client: redis.Redis) -> None:
    # Given escape sequences and markup in a payload and in an error
    bury(client, payload=NASTY, error="ValueError: \x1b[2J[bold]no[/bold]")

    status, shown = on_terminal(server, "dead", "list")

    assert status == 0
    assert r"\xff\x1b[2J\x1b]0;owned\x07[red]fake[/red] :smile:\r\nline\u202e" in shown
    assert r"ValueError: \x1b[2J[bold]no[/bold]" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b]0" not in shown


def test_a_terminal_that_lacks_characters_gets_escapes(run: Run, client: redis.Redis) -> None:
    bury(client, payload="Grüße".encode())

    listed = run("subscriber", "dead", "list", COLUMNS=WIDE, PYTHONIOENCODING="ascii")

    assert listed.status == 0
    assert listed.matching("Gr", "failed")
    assert not listed.matching("Traceback")


# dead letters: putting back and deleting


def test_one_is_put_back(run: Run, client: redis.Redis) -> None:
    one, other = bury(client, "one"), bury(client, "other")

    said = run("subscriber", "dead", "requeue", one, "--yes")

    assert (said.status, said.lines) == (0, ["requeued 1"])
    assert waiting(client) == ["one"]
    assert client.xrange(keys.dead(Q), other, other)
    assert left(client) == 1


def test_all_are_put_back_in_order(run: Run, client: redis.Redis) -> None:
    for n in range(1200):
        bury(client, str(n))

    said = run("subscriber", "dead", "requeue", "--all", "--yes")

    assert (said.status, said.lines) == (0, ["requeued 1,200"])
    assert waiting(client) == [str(n) for n in range(1200)]
    assert client.exists(keys.dead(Q)) == 0


def test_those_of_one_reason_are_put_back(run: Run, client: redis.Redis) -> None:
    for reason in ("failed", "crashed", "failed"):
        bury(client, reason, reason=reason)

    said = run("subscriber", "dead", "requeue", "--reason", "failed", "--yes")

    assert (said.status, said.lines) == (0, ["requeued 2"])
    assert waiting(client) == ["failed", "failed"]
    assert left(client) == 1


def test_they_are_deleted(run: Run, client: redis.Redis) -> None:
    bury(client, reason="unreadable")
    one = bury(client)

    said = run("subscriber", "dead", "purge", "--reason", "unreadable", "--yes")
    assert (said.status, said.lines) == (0, ["purged 1"])
    assert left(client) == 1
    assert run("subscriber", "dead", "purge", one, "--yes").status == 0

    assert client.keys("*") == []


@pytest.mark.parametrize("action", ["requeue", "purge"])
def test_it_is_not_done_unasked(run: Run, client: redis.Redis, action: str) -> None:
    # Given no terminal at which to ask
    bury(client)
    bury(client)

    said = run("subscriber", "dead", action, "--all")

    assert said.status == 2
    assert said.lines == [f"subscriber: {action} 2 dead letters: say --yes where nobody can be asked"]
    assert (left(client), client.llen(Q)) == (2, 0)


def test_which_ones_must_be_said(run: Run, client: redis.Redis) -> None:
    bury(client)

    assert run("subscriber", "dead", "purge", "--yes").status == 2
    assert left(client) == 1


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04"], ids=["n", "nothing", "ctrl-d"])
def test_at_a_terminal_anything_but_yes_leaves_things(server: Server, client: redis.Redis, answer: bytes) -> None:
    one = bury(client)

    status, shown = on_terminal(server, "dead", "purge", one, answer=answer)

    assert left(client) == 1
    assert status == 1
    assert "purge 1 dead letter? [y/N] " in shown
    assert "nothing was done" in shown
    assert "Traceback" not in shown


def test_at_a_terminal_yes_does_it(server: Server, client: redis.Redis) -> None:
    bury(client, "a")
    bury(client, "b")

    status, shown = on_terminal(server, "dead", "requeue", "--all", answer=b"y\n")

    assert status == 0
    assert "requeue 2 dead letters? [y/N] " in shown
    assert "requeued 2" in shown
    assert waiting(client) == ["a", "b"]


# of a stream


def test_those_of_a_stream_go_back_to_the_stream(run: Run, client: redis.Redis) -> None:
    # Given one letter of each pattern
    payload = wire("of the stream")
    bury(client, origin=S, payload=payload)
    bury(client, "of the queue")

    listed = run("subscriber", "dead", "--pattern", "stream", "list", "--json")
    said = run("subscriber", "dead", "--pattern", "stream", "requeue", "--all", "--yes")

    assert [json.loads(line)["payload"] for line in listed.lines] == [payload.decode()]
    assert (said.status, said.lines) == (0, ["requeued 1"])
    ((_, fields),) = client.xrange(S) or []
    assert fields is not None
    assert fields[b"message"] == payload
    assert (left(client, S), left(client), client.llen(Q)) == (0, 1, 0)


def test_the_names_of_the_settings_count(run: Run, client: redis.Redis) -> None:
    bury(client, origin="other")

    listed = run("subscriber", "dead", "--pattern", "stream", "list", "--json", STREAM="other")

    assert len(listed.lines) == 1


def test_a_message_that_fails_can_be_found_and_put_back(start: Start, run: Run, client: redis.Redis) -> None:
    # Given a subscriber that cannot read a message
    client.xadd(S, {"message": b"rubbish"})
    subscriber = start("subscriber", PATTERN="stream")
    subscriber.wait_for("1 more dead")
    subscriber.stop()

    (line,) = run("subscriber", "dead", "--pattern", "stream", "list", "--json").lines
    letter = json.loads(line)
    assert (letter["payload"], letter["reason"]) == ("rubbish", "unreadable")
    assert run("subscriber", "dead", "--pattern", "stream", "requeue", letter["id"], "--yes").status == 0

    assert client.xlen(S) == 2


# scheduled, in hand


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


def test_what_is_in_hand_is_listed(server: Server, run: Run, client: redis.Redis) -> None:
    # Given a consumer with two messages in hand
    client.rpush(Q, wire(), wire())
    settings = Settings.read(redis_url=server.url, pattern="reliable")
    listener = ReliableListener(settings, Link(settings.url), Counts())
    listener.open()
    assert len(listener.take(10)) == 2

    (line,) = run("subscriber", "in-hand", "--json").lines
    table = run("subscriber", "in-hand", COLUMNS=WIDE)

    claim = json.loads(line)
    assert claim["messages"] == 2
    assert claim["claim"].startswith(f"{{{Q}}}:claim:")
    assert timedelta() < datetime.fromisoformat(claim["until"]) - datetime.now(UTC) <= timedelta(seconds=31)
    assert table.matching(claim["claim"], " 2 ")
    listener.close()


# what can go wrong


def test_without_redis_it_is_one_line(run: Run) -> None:
    said = run("subscriber", "dead", "purge", "--all", "--yes", url="redis://127.0.0.1:1")

    assert said.status == 1
    assert said.lines == ["subscriber: no Redis at redis://127.0.0.1:1: connection refused"]


def test_a_key_of_another_type_is_one_line(run: Run, client: redis.Redis) -> None:
    client.set(keys.dead(Q), "a string")

    said = run("subscriber", "dead", "list")

    assert said.status == 1
    assert len(said.lines) == 1
    assert "another type" in said.lines[0]


def test_a_pattern_without_dead_letters_is_explained(run: Run) -> None:
    said = run("subscriber", "dead", "--pattern", "queue", "list")

    assert said.status == 2
    assert said.matching("usage: python -m subscriber dead")


# the publisher: priority, delay, at


def test_an_urgent_message_is_sent(run: Run, client: redis.Redis) -> None:
    client.rpush(Q, wire("waiting"))

    assert run("publisher", "urgent", "--pattern", "reliable", "--priority", "9").status == 0

    (member,) = client.zrange(keys.priority(Q), 0, -1)
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
    assert client.exists(keys.scheduled(Q)) == 0


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
