"""Stops and breaks of a real subscriber: what was taken and not handled goes back, or is told."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from conftest import Start
from messages import wire

from lab.proxy import Proxy
from lab.server import Server

ROOT = Path(__file__).parents[2]
SLOW = "import time\ndef handle(message):\n    print('begin', message.message, flush=True)\n    time.sleep(0.4)\n"


@pytest.mark.parametrize("pattern", ["queue", "reliable"])
def test_a_broken_pipe_loses_nothing_that_was_not_printed(server: Server, client: redis.Redis, pattern: str) -> None:
    # Given 2,000 messages, and a reader of the subscriber's output that goes away after the first line
    key = {"queue": "message_queue", "reliable": "reliable_queue"}[pattern]
    sent = [f"text-{n}" for n in range(2000)]
    with subprocess.Popen(
        [sys.executable, "-m", "subscriber"],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATTERN": pattern, "LEASE_SECONDS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as subscriber:
        assert subscriber.stdout is not None
        client.rpush(key, wire("first"))
        subscriber.stdout.readline()
        subscriber.stdout.close()
        client.rpush(key, *map(wire, sent))
        subscriber.communicate(timeout=30)
    assert subscriber.returncode == 1

    # When another one takes over
    again = subprocess.Popen(
        [sys.executable, "-m", "subscriber"],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATTERN": pattern, "LEASE_SECONDS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with again:
        assert again.stdout is not None
        heard = [again.stdout.readline().split()[3] for _ in sent]
        again.terminate()

    # Then it prints them all, in order
    assert heard == sent


def test_a_stop_of_queue_while_redis_is_away_handles_what_is_in_flight(
    start: Start, own_server: Server, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given a batch of three in flight
    with redis.Redis(port=own_server.port) as client:
        client.rpush("message_queue", *[wire(f"m{n}") for n in range(4)])
    subscriber = start("subscriber", url=own_server.url, PATTERN="queue", PREFETCH="3", **handler(SLOW))
    subscriber.wait_for("begin m1")

    # When Redis goes away, and it is stopped
    own_server.kill()
    assert subscriber.stop() == 0

    # Then what cannot be given back is handled, since nobody else has it
    assert subscriber.matching("begin m2")
    assert subscriber.matching("begin m3")
    assert subscriber.matching("instead of giving them back")


@pytest.mark.alone
def test_a_stop_of_pubsub_in_mid_batch_is_soon_and_says_what_is_lost(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    subscriber = start("subscriber", PATTERN="pubsub", **handler(SLOW))
    subscriber.wait_for("connected")
    while not client.pubsub_numsub("messages")[0][1]:
        pass
    with client.pipeline(transaction=False) as pipe:
        for n in range(20):
            pipe.publish("messages", wire(f"m{n}"))
        pipe.execute()
    subscriber.wait_for("begin m2")

    started = time.monotonic()
    assert subscriber.stop() == 0

    assert time.monotonic() - started < 0.5 + 0.4 + 2
    assert len(subscriber.matching("received messages unhandled; they are lost")) == 1
    begun = len(subscriber.matching("begin m"))
    assert 4 <= begun < 20
    assert "dropped at the stop" in subscriber.matching("total from pub-sub")[0]


def test_a_handler_that_hangs_makes_the_health_check_fail(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    # Given a healthy subscriber
    environment = {"HEALTH_FILE": str(tmp_path / "health"), "HEALTH_SECONDS": "1"}
    hangs = handler("import time\ndef handle(message):\n    print('stalled', flush=True)\n    time.sleep(3600)\n")
    subscriber = start("subscriber", PATTERN="queue", **environment, **hangs)
    while _health(environment)[0]:
        assert subscriber.status is None

    # When its handler hangs
    client.rpush("message_queue", wire())
    subscriber.wait_for("stalled")

    # Then the check says so
    while not (said := _health(environment))[0]:
        pass
    assert said == (1, said[1])
    assert "the queue loop has stalled for" in said[1]


def _health(environment: dict[str, str]) -> tuple[int, str]:
    check = subprocess.run(
        [sys.executable, "-m", "subscriber", "health"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return check.returncode, check.stderr


@pytest.mark.parametrize("pattern", ["queue", "pubsub", "reliable", "stream"])
def test_a_proxy_that_hangs_up_on_each_first_command_is_not_hammered(
    start: Start, server: Server, pattern: str
) -> None:
    # Given a subscriber whose connections die right after each open
    word = {"queue": b"BLPOP", "pubsub": b"SUBSCRIBE", "reliable": b"BLMOVE", "stream": b"XREADGROUP"}[pattern]
    with Proxy(server.port) as proxy:
        proxy.swallow(word, times=10_000)
        subscriber = start("subscriber", url=proxy.url, PATTERN=pattern, CONNECT_TIMEOUT="60")

        # When it has tried for a while
        subscriber.wait_for("attempt 3, next in", timeout=30)

    # Then it said of each attempt how long it waits
    assert len(subscriber.matching("connecting again at once")) <= 4
