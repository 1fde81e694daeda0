"""What others wrote under our keys is listed as far as it can be, and steers neither the command nor the terminal."""

import json
from typing import Any

import pytest
import redis
from conftest import Run
from dead_letter_box import WIDE, Field, Q, bury, on_terminal
from messages import wire

from lab.server import Server
from townpost import keys

STAMP = "1763800000123456" + "0001" + "0"
CLAIM = keys.of(Q).claim("host-1-abc", 1)
ESCAPE = "\x1b[2J\x1b]0;owned\x07\x7f\x9b"
HUGE = "9" * 5_000
NESTED = "[" * 3_000 + "]" * 3_000


def _hostile_dead_letters(client: redis.Redis) -> int:
    """Add dead letters as nobody of us writes them; how many."""
    dead_letters: list[dict[Field, Field]] = [
        {"attempts": HUGE, "crashes": HUGE},
        {"attempts": "-1", "crashes": "١٢"},
        {"reason": ESCAPE, "error": ESCAPE, "by": ESCAPE, "payload": ESCAPE},
        {"reason": b"\xff", "error": b"\xed\xa0\x80", "payload": b"\xff"},
        {b"\xff": b"\xff"},
        {"history": NESTED},
        {"history": f"[{'[' * 300}{']' * 300}, {HUGE}]"},
        {
            "history": '[{"error": '
            + '{"a":' * 300
            + "1"
            + "}" * 300
            + ', "at": 1e999, "by": "\\ud800", "\\ud800": NaN}]'
        },
        {"history": "{}", "payload": wire()},
    ]
    for fields in dead_letters:
        client.xadd(keys.of(Q).dead, fields)
    last = 2**64 - 1
    client.xadd(keys.of(Q).dead, {"payload": "at the end of time"}, id=f"{last}-{last}")
    return len(dead_letters) + 1


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_dead_letters_of_others_are_listed(run: Run, client: redis.Redis, form: tuple[str, ...]) -> None:
    total = _hostile_dead_letters(client)

    listed = run("subscriber", "dead", "list", *form, COLUMNS=WIDE)

    assert (listed.status, listed.matching("Traceback")) == (0, [])
    rows = [line for line in listed.lines if '"id"' in line] if form else listed.matching("│", "-")
    assert len(rows) == total


def test_every_dead_letter_of_others_is_shown(run: Run, client: redis.Redis) -> None:
    _hostile_dead_letters(client)
    entries: Any = client.xrange(keys.of(Q).dead)

    for entry, _ in entries:
        shown = run("subscriber", "dead", "show", entry.decode())

        assert shown.status == 0, shown.lines
        json.loads("\n".join(shown.lines), parse_constant=pytest.fail)


def test_all_dead_letters_of_others_are_purged(run: Run, client: redis.Redis) -> None:
    total = _hostile_dead_letters(client)

    purged = run("subscriber", "dead", "purge", "--all", "--yes")

    assert (purged.status, purged.lines) == (0, [f"purged {total}"])
    assert not client.exists(keys.of(Q).dead)


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_no_text_of_a_dead_letter_reaches_the_terminal_raw(
    server: Server, client: redis.Redis, form: tuple[str, ...]
) -> None:
    bury(client, payload=ESCAPE, error=ESCAPE, reason=ESCAPE, by=ESCAPE, history=json.dumps([{"error": ESCAPE}]))

    status, shown = on_terminal(server, "dead", "list", *form)

    assert status == 0
    assert not [mark for mark in ("\x1b[2J", "\x1b]0", "\x07", "\x7f", "\x9b") if mark in shown]


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_scheduled_skips_what_is_no_message_and_says_how_many(
    run: Run, client: redis.Redis, form: tuple[str, ...]
) -> None:
    # Given two messages of ours, one due at the end of time, amid what somebody else put there
    client.zadd(keys.of(Q).scheduled, {STAMP + "tea": 1e12, STAMP + "milk\x1b[2J": float("inf")})
    client.zadd(keys.of(Q).scheduled, {b"short": 1, b"\xff": 2, b"\xff" * 40: -1e308, b"x" * 40: 3})

    said = run("subscriber", "scheduled", *form, COLUMNS=WIDE)

    # Then ours are listed, and the others counted
    assert said.status == 0, said.lines
    assert said.matching("tea")
    assert said.matching("milk", "9999-12-31")
    assert said.matching("subscriber: skipped 4 members", keys.of(Q).scheduled)
    assert len(said.matching("skipped")) == 1
    assert not any("\x1b" in line for line in said.lines)


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_in_flight_skips_what_is_no_claim_and_says_how_many(
    run: Run, client: redis.Redis, form: tuple[str, ...]
) -> None:
    # Given one claim of ours, one whose key holds no list, and members that are no claims of this queue
    odd = keys.of(Q).claim("odd\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}", 1)
    client.rpush(CLAIM, "a", "b")
    client.set(keys.of(Q).claim("a-string", 1), "no list")
    client.zadd(keys.of(Q).leases, {CLAIM: 1e12, odd: float("-inf"), keys.of(Q).claim("a-string", 1): 1})
    client.zadd(keys.of(Q).leases, {keys.of(Q).handoff: 2, keys.of("another").claim("c", 1): 3})
    client.zadd(keys.of(Q).leases, {b"\xff": 1, b"": 4})

    said = run("subscriber", "in-flight", *form, COLUMNS=WIDE)

    # Then the claims are listed, and the others counted
    assert said.status == 0, said.lines
    assert said.matching(CLAIM, "2")
    assert said.matching("odd", "0001-01-01")
    assert said.matching("subscriber: skipped 5 members", keys.of(Q).leases)
    assert len(said.matching("claim:")) == 2
    assert not any(mark in line for line in said.lines for mark in ("\x1b", "\N{RIGHT-TO-LEFT OVERRIDE}"))


def test_nothing_is_said_where_nothing_is_skipped(run: Run, client: redis.Redis) -> None:
    client.zadd(keys.of(Q).scheduled, {STAMP + "tea": 1e12})

    assert not run("subscriber", "scheduled").matching("skipped")
