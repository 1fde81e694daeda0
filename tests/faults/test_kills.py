"""Real processes on a real server, really killed: nothing is lost, and what comes twice is counted."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from conftest import Start

from lab.processes import Process
from lab.server import Server
from shared import keys
from shared.message import Message
from shared.publishing import Publisher
from shared.settings import Settings

KEPT = pytest.mark.parametrize("pattern", ["reliable", "stream"])
NAMES = {"reliable": "reliable_queue", "stream": "message_stream"}
LEASE = 1.0


class Journal:
    """What all handlers wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "JOURNAL": str(folder),
            "HANDLER": "journal:handle",
            "PYTHONPATH": str(Path(__file__).parent),
            "LEASE_SECONDS": str(LEASE),
            "BACKOFF_SECONDS": "0.05",
        }

    def counts(self) -> Counter[int]:
        """How often each message was handled, by its number."""
        lines = (line for file in self.folder.glob("*.journal") for line in file.read_text().splitlines())
        return Counter(int(line.split()[0]) for line in lines if line)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def until(condition: Callable[[], object], seconds: float = 60) -> float:
    """Wait for it; how long that took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError
        time.sleep(0.02)
    return time.monotonic() - started


def publish(server: Server, pattern: str, *texts: str) -> None:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern=pattern)) as publisher:
        messages = [Message.create(text, count=number) for number, text in enumerate(texts, 1)]
        for start in range(0, len(messages), 500):
            publisher.send(messages[start : start + 500])


def settled(client: redis.Redis, pattern: str) -> bool:
    """Whether nothing waits and nothing is in hand."""
    if pattern == "stream":
        (group,) = client.xinfo_groups(NAMES[pattern])
        return group["lag"] == 0 and group["pending"] == 0  # type: ignore[no-any-return]  # redis-py's Any
    companions = (keys.leases, keys.suspects, keys.scheduled, keys.handoff, keys.priority)
    return not client.exists(NAMES[pattern], *(name(NAMES[pattern]) for name in companions))


def dead(client: redis.Redis, pattern: str) -> int:
    return int(client.xlen(keys.dead(NAMES[pattern])))


@KEPT
@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_the_work_of_a_killed_consumer_is_taken_up_within_a_second_of_its_lease(
    start: Start,
    server: Server,
    journal: Journal,
    pattern: str,
    busy: bool,
) -> None:
    # Given a consumer in the middle of a message
    publish(server, pattern, "stuck")
    doomed = start("subscriber", PATTERN=pattern, MISBEHAVE="slow:stuck", SECONDS="60", **journal.environment)
    until((journal.folder / "begun-1").exists)
    other = start("subscriber", PATTERN=pattern, **journal.environment)
    other.wait_for("connected")

    # When it is killed, and another is there, idle or at work
    doomed.kill()
    killed = time.monotonic()
    if busy:
        publish(server, pattern, *(f"m{n}" for n in range(3000)))

    # Then the other does it
    until(lambda: journal.counts()[1] >= (2 if busy else 1))
    assert time.monotonic() - killed < LEASE + 1 + 0.3  # and a moment to notice it here


@KEPT
def test_killed_between_handling_and_acknowledging_it_comes_twice(
    start: Start, server: Server, client: redis.Redis, journal: Journal, pattern: str
) -> None:
    publish(server, pattern, "a", "b", "c")
    first = start("subscriber", PATTERN=pattern, MISBEHAVE="crash-after:b", **journal.environment)
    assert first.wait() == 9

    start("subscriber", PATTERN=pattern, **journal.environment)

    until(lambda: settled(client, pattern))
    counts = journal.counts()
    assert set(counts) == {1, 2, 3}
    assert counts[2] == 2


@KEPT
def test_frozen_past_its_lease_its_answer_is_too_late_and_no_effect_is_lost(
    start: Start, server: Server, client: redis.Redis, journal: Journal, pattern: str
) -> None:
    # Given a consumer that is frozen while it works
    publish(server, pattern, "slow")
    frozen = start("subscriber", PATTERN=pattern, MISBEHAVE="slow:slow", SECONDS="0.5", **journal.environment)
    until((journal.folder / "begun-1").exists)
    frozen.signal(signal.SIGSTOP)

    # When another does its work, and it wakes up again
    other = start("subscriber", PATTERN=pattern, **journal.environment)
    until(lambda: journal.counts()[1] == 1)
    until(lambda: settled(client, pattern))
    frozen.signal(signal.SIGCONT)

    # Then its answer is counted as late
    frozen.wait_for("too late")
    assert journal.counts()[1] == 2
    assert settled(client, pattern)
    assert other.stop() == 0
    assert frozen.stop() == 0


@KEPT
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_consumers_killed_at_random_lose_nothing(
    start: Start,
    server: Server,
    client: redis.Redis,
    journal: Journal,
    pattern: str,
) -> None:
    # Given 50,000 messages and ten consumers
    total, prefetch = 50_000, 100
    luck = random.Random(20261121)

    def fresh() -> Process:
        return start("subscriber", PATTERN=pattern, PREFETCH=str(prefetch), SECONDS="0.001", **journal.environment)

    consumers = [fresh() for _ in range(10)]
    publish(server, pattern, *["m"] * total)
    for consumer in consumers:
        consumer.wait_for("connected")

    # When one after the other is killed and replaced
    kills = 0
    while kills < 25 and not settled(client, pattern):
        time.sleep(luck.uniform(0.05, 0.25))  # the moment of the next kill is a matter of chance
        place = luck.randrange(10)
        consumers[place].kill()
        kills += 1
        consumers[place] = fresh()
    seconds = until(lambda: settled(client, pattern), 200)

    # Then nothing is lost, and what came twice was in hand when its consumer died
    counts = journal.counts()
    duplicated = sum(counts.values()) - len(counts)
    lost = total - len(counts) - dead(client, pattern)
    print(
        f"\n{pattern}: sent {total}, handled {len(counts)}, lost {lost}, duplicated {duplicated}, kills {kills}, "
        f"settled {seconds:.1f} s after the last kill"
    )
    assert lost == 0
    assert duplicated <= kills * prefetch


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
    hung = start("subscriber", PATTERN=pattern, MISBEHAVE="slow:hang", SECONDS="3600", **environment)
    until((journal.folder / "begun-1").exists)

    start("subscriber", PATTERN=pattern, **environment)

    until(lambda: journal.counts()[1] == 1)
    until(lambda: settled(client, pattern))
    assert hung.matching("the handler has been at one message", "HANDLER_TIMEOUT")


@KEPT
@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_redis_killed_and_restarted_loses_nothing_it_acknowledged(
    start: Start, journal: Journal, pattern: str, appendfsync: str
) -> None:
    with Server(appendfsync=appendfsync) as server, redis.Redis(port=server.port) as client:
        # Given a publisher and two subscribers at full speed
        settings = {"url": server.url, "PATTERN": pattern}
        for _ in range(2):
            start("subscriber", **settings, **journal.environment).wait_for("connected")
        publisher = start("publisher", "m", "--count", "30000", "--interval", "0", **settings)
        until(lambda: len(journal.counts()) > 2000)

        # When Redis is killed and comes back
        server.kill()
        server.start()
        assert publisher.wait(60) == 0

        # Then every message that was acknowledged to the publisher was handled
        assert publisher.matching("total: 30,000 messages acknowledged")
        recovery = until(lambda: len(journal.counts()) == 30_000)
        until(lambda: settled(client, pattern))
        counts = journal.counts()
        print(
            f"\n{pattern}, {appendfsync}: sent 30000, handled {len(counts)}, lost 0, "
            f"duplicated {sum(counts.values()) - len(counts)}, all handled {recovery:.1f} s after the publisher's end"
        )


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
