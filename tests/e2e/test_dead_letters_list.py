"""Dead letters as the command line lists and shows them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import redis
from conftest import Run, Start
from dead_letter_box import NASTY, WIDE, Q, bury, left, on_terminal
from messages import wire

from lab.server import Server
from townpost import keys


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


def test_in_a_pipe_no_word_is_cut_off(run: Run, client: redis.Redis) -> None:
    bury(client, reason="unreadable", error="ValueError: no good")

    listed = run("subscriber", "dead", "list")

    assert listed.matching("unreadable", "ValueError: no good")


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


@pytest.mark.parametrize("reason", ["failed", "crashed", "rejected", "unreadable"])
def test_they_are_selected_by_reason(run: Run, client: redis.Redis, reason: str) -> None:
    for one in ("failed", "crashed", "rejected", "unreadable") * 2:
        bury(client, reason=one)

    listed = run("subscriber", "dead", "list", "--json", "--reason", reason)

    assert [json.loads(line)["reason"] for line in listed.lines] == [reason, reason]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("dead", "list"), "no dead letters"),
        (("scheduled",), "nothing is scheduled"),
        (("in-flight",), "nothing is in flight"),
        (("in-hand",), "nothing is in flight"),
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
    dead_letter = json.loads("\n".join(shown.lines))
    assert dead_letter["id"] == one
    assert json.loads(dead_letter["payload"])["message"] == "this one"


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


def test_a_key_of_another_type_is_one_line(run: Run, client: redis.Redis) -> None:
    client.set(keys.of(Q).dead, "a string")

    said = run("subscriber", "dead", "list")

    assert said.status == 1
    assert len(said.lines) == 1
    assert "another type" in said.lines[0]


def test_a_pattern_without_dead_letters_is_explained(run: Run) -> None:
    said = run("subscriber", "dead", "--pattern", "queue", "list")

    assert said.status == 2
    assert said.matching("usage: python -m subscriber dead")
