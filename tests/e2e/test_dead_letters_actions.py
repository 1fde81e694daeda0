"""Dead letters put back and deleted from the command line, and only if somebody wants it."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from conftest import Run, Start
from dead_letter_box import Q, S, bury, left, on_terminal, waiting
from messages import wire

from lab.processes import Process
from lab.server import Server
from townpost import keys


def test_one_is_put_back(run: Run, client: redis.Redis) -> None:
    one, other = bury(client, "one"), bury(client, "other")

    said = run("subscriber", "dead", "requeue", one, "--yes")

    assert (said.status, said.lines) == (0, ["requeued 1"])
    assert waiting(client) == ["one"]
    assert client.xrange(keys.of(Q).dead, other, other)
    assert left(client) == 1


def test_all_are_put_back_in_order(run: Run, client: redis.Redis) -> None:
    for n in range(1200):
        bury(client, str(n))

    said = run("subscriber", "dead", "requeue", "--all", "--yes")

    assert (said.status, said.lines) == (0, ["requeued 1,200"])
    assert waiting(client) == [str(n) for n in range(1200)]
    assert client.exists(keys.of(Q).dead) == 0


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
def test_all_of_none_is_done(run: Run, client: redis.Redis, action: str) -> None:
    assert client.keys("*") == []

    said = run("subscriber", "dead", action, "--all", "--yes")

    assert (said.status, said.lines) == (0, [f"{action}d 0"])


@pytest.mark.parametrize("format_", ["", "--json"])
def test_whoever_reads_the_list_may_have_seen_enough(server: Server, client: redis.Redis, format_: str) -> None:
    # Given more than a pipe holds
    for n in range(1_200):
        bury(client, f"{n} " + 200 * "x")

    said = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m subscriber dead list {format_} | head -1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"REDIS_URL": server.url},
    )

    assert (said.returncode, said.stderr, len(said.stdout.splitlines())) == (0, "", 1)


@pytest.mark.parametrize("action", ["requeue", "purge"])
def test_it_is_not_done_unasked(run: Run, client: redis.Redis, action: str) -> None:
    # Given no terminal at which to ask
    bury(client)
    bury(client)

    said = run("subscriber", "dead", action, "--all")

    assert said.status == 2
    assert said.lines == [f"subscriber: {action} 2 dead letters: say --yes where there is no terminal to ask at"]
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


def test_those_of_a_stream_go_back_to_the_stream(run: Run, client: redis.Redis) -> None:
    # Given one dead letter of each pattern
    payload = wire("of the stream")
    bury(client, origin=S, payload=payload)
    bury(client, "of the queue")

    listed = run("subscriber", "dead", "--pattern", "stream", "list", "--json")
    said = run("subscriber", "dead", "--pattern", "stream", "requeue", "--all", "--yes")

    assert [json.loads(line)["payload"] for line in listed.lines] == [payload.decode()]
    # and the dead letter says nothing of its group, so all of them get it
    (told,) = [line for line in said.lines if line != "requeued 1"]  # on stderr, and either may come first
    assert (said.status, len(said.lines)) == (0, 2)
    assert "1 dead letters go to every group" in told
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
    dead_letter = json.loads(line)
    assert (dead_letter["payload"], dead_letter["reason"]) == ("rubbish", "unreadable")
    assert run("subscriber", "dead", "--pattern", "stream", "requeue", dead_letter["id"], "--yes").status == 0

    assert client.xpending(S, "townpost")["pending"] == 1
    assert client.xlen(S) == 1


def test_without_redis_it_is_one_line(run: Run) -> None:
    said = run("subscriber", "dead", "purge", "--all", "--yes", url="redis://127.0.0.1:1")

    assert said.status == 1
    assert said.lines == ["subscriber: no Redis at redis://127.0.0.1:1: connection refused"]


@pytest.mark.parametrize("pattern", ["reliable", "stream"])
def test_the_line_about_dead_letters_is_the_command_that_lists_them(
    start: Start, server: Server, client: redis.Redis, pattern: str
) -> None:
    # Given a queue of another name, in which a message cannot be read
    subscriber = start("subscriber", PATTERN=pattern, RELIABLE_QUEUE="my orders", STREAM="my orders")
    if pattern == "stream":
        client.xadd("my orders", {"message": b"rubbish"})
    else:
        client.rpush("my orders", b"rubbish")

    # When the subscriber says that it is dead
    (line,) = subscriber.wait_for("1 more dead: see ")
    command = re.search(r"`(?:python -m )?townpost ([^`]+)`", line)

    # Then what it says finds it
    assert command is not None
    listed = Process("townpost", *shlex.split(command[1]), "--json", environment={"REDIS_URL": server.url})
    assert listed.wait() == 0
    assert json.loads(listed.lines[0])["payload"] == "rubbish"
