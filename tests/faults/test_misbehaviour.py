"""Real processes whose handlers crash, raise or hang, odd clocks, large messages; and one process that idles."""

import os
import time
from pathlib import Path

import driving
import pytest
import redis
from conftest import Start
from driving import KEPT, Journal, dead, publish, settled, until

from lab.processes import Process
from lab.server import Server

journal = driving.journal


@KEPT
def test_a_message_that_kills_every_consumer_ends_alone_among_the_dead(
    start: Start, server: Server, client: redis.Redis, journal: Journal, pattern: str
) -> None:
    # Given a poisonous message among 500, and a service manager that restarts what died
    texts = [f"m{n}" for n in range(500)]
    texts[250] = "poison"
    publish(server, pattern, *texts)
    environment = {**journal.environment, "LEASE_SECONDS": "0.4", "MAX_ATTEMPTS": "3"}
    deaths = 0

    def run() -> Process:
        return start("subscriber", PATTERN=pattern, MISBEHAVE="crash:poison", **environment)

    consumer = run()
    deadline = time.monotonic() + 60
    while not (dead(client, pattern) and settled(client, pattern)):
        assert time.monotonic() < deadline
        if consumer.status is not None:
            deaths += 1
            consumer = run()
        time.sleep(0.02)

    assert dead(client, pattern) == 1
    assert set(journal.counts()) == set(range(1, 501)) - {251}
    assert 3 <= deaths <= 4


@KEPT
def test_a_handler_that_raises_now_and_then_handles_everything_in_the_end(
    start: Start, server: Server, client: redis.Redis, journal: Journal, pattern: str
) -> None:
    publish(server, pattern, *[f"m{n}" for n in range(200)])

    start("subscriber", PATTERN=pattern, MISBEHAVE="raise-once:m77", **journal.environment)

    until(lambda: len(journal.counts()) == 200)
    until(lambda: settled(client, pattern))
    assert dead(client, pattern) == 0


@KEPT
def test_a_handler_that_always_raises_leaves_one_dead_letter(
    start: Start, server: Server, client: redis.Redis, journal: Journal, pattern: str
) -> None:
    publish(server, pattern, *[f"m{n}" for n in range(200)])

    start("subscriber", PATTERN=pattern, MISBEHAVE="raise:m77", MAX_ATTEMPTS="3", **journal.environment)

    until(lambda: dead(client, pattern) == 1 and settled(client, pattern))
    assert set(journal.counts()) == set(range(1, 201)) - {78}


@KEPT
def test_a_handler_that_hangs_loses_its_message_to_another(
    start: Start, server: Server, client: redis.Redis, journal: Journal, pattern: str
) -> None:
    publish(server, pattern, "hang")
    environment = {**journal.environment, "HANDLER_TIMEOUT": "0.5"}
    stalled = start("subscriber", PATTERN=pattern, MISBEHAVE="slow:hang", SECONDS="3600", **environment)
    until((journal.folder / "begun-1").exists)

    start("subscriber", PATTERN=pattern, **environment)

    until(lambda: journal.counts()[1] == 1)
    until(lambda: settled(client, pattern))
    assert stalled.matching("the handler has been at one message", "HANDLER_TIMEOUT")


@KEPT
def test_a_consumer_whose_clock_is_an_hour_off_changes_nothing(
    start: Start, server: Server, client: redis.Redis, journal: Journal, tmp_path: Path, pattern: str
) -> None:
    # Given a consumer an hour ahead that holds a message, and one with the right time
    folder = tmp_path / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import time\nnow = time.time\ntime.time = lambda: now() + 3600\n")
    publish(server, pattern, "slow", "b", "c")
    environment = {**journal.environment, "PYTHONPATH": f"{folder}{os.pathsep}{journal.environment['PYTHONPATH']}"}
    ahead = start("subscriber", PATTERN=pattern, MISBEHAVE="slow:slow", SECONDS="2.5", PREFETCH="1", **environment)
    until((journal.folder / "begun-1").exists)
    start("subscriber", PATTERN=pattern, **journal.environment)

    # Then neither takes what the other holds
    until(lambda: settled(client, pattern))
    assert journal.counts() == {1: 1, 2: 1, 3: 1}
    assert not ahead.matching("too late")


@KEPT
def test_messages_of_one_mebibyte_are_handled(
    start: Start, server: Server, client: redis.Redis, journal: Journal, pattern: str
) -> None:
    publish(server, pattern, *["x" * (1024 * 1024 - 300)] * 40)

    start("subscriber", PATTERN=pattern, **journal.environment)

    until(lambda: len(journal.counts()) == 40)
    until(lambda: settled(client, pattern))


@KEPT
@pytest.mark.timeout(90)
def test_an_idle_consumer_sends_at_most_two_commands_a_second(start: Start, client: redis.Redis, pattern: str) -> None:
    seconds = float(os.environ.get("IDLE_SECONDS", "8"))
    start("subscriber", PATTERN=pattern).wait_for("connected")
    time.sleep(2)  # until what a start costs is over
    commands = {"reliable": ("evalsha", "blmove"), "stream": ("xreadgroup", "xpending", "xautoclaim", "evalsha")}

    client.config_resetstat()
    time.sleep(seconds)  # idling is the subject

    # what it reports about itself counts too
    stats = client.info("commandstats")
    sent = (*commands[pattern], "set", "zadd", "zremrangebyscore", "ping", "eval")
    calls = {name: stats[f"cmdstat_{name}"]["calls"] for name in sent if f"cmdstat_{name}" in stats}
    print(f"\n{pattern}: {sum(calls.values()) / seconds:.2f} commands/s idle: {calls}")
    assert sum(calls.values()) <= 2 * seconds + 1
