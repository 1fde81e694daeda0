"""A full Redis is drained of a stream, and what needs room waits: it never grows past maxmemory by what fails."""

import time

import pytest
import redis
import stream_driver
from driver import messages
from stream_driver import MakeConsumer, S, pending

from lab.server import Server
from townpost import keys
from townpost.message import Message
from townpost.patterns.dead_letters import DeadLetters
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

consumer = stream_driver.consumer
dead = stream_driver.dead

LIMIT = 30_000_000


def fill(server: Server, count: int, size: int) -> None:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="stream")) as publisher:
        for start in range(0, count, 100):
            publisher.send([Message.create("x" * size, count=start + n + 1) for n in range(100)])


@pytest.mark.alone
def test_messages_that_all_die_grow_redis_to_maxmemory_and_no_further(
    own_server: Server, consumer: MakeConsumer
) -> None:
    # Given 20 MB of messages, all of which die with long errors, and room for 30 MB
    fill(own_server, 4_000, 4_500)
    one = consumer(own_server.url, max_attempts=1, lease_seconds=0.5)
    with redis.Redis(port=own_server.port) as client:
        client.config_set("maxmemory", LIMIT)
        peak, deadline = 0, time.monotonic() + 15
        while one.counts.dead + one.counts.failed < 4_000 and time.monotonic() < deadline:
            for delivery in (batch := one.take(seconds=0)):
                delivery.fail(ValueError("y" * 1_000))
            one.flush(batch)
            used = int(client.info("memory")["used_memory"])
            peak = max(peak, used)
        print(f"\nmaxmemory {LIMIT:,}: at most {peak:,} used, {one.counts.dead} dead letters")
        assert peak <= LIMIT * 1.05
        assert one.counts.dead > 100
        assert pending(client) > 0

        # And when there is room, what failed dies after all
        client.config_set("maxmemory", 0)
        dead_letters = one.counts.dead
        for delivery in (batch := one.take(seconds=5)):
            delivery.fail(ValueError("y"))
        one.flush(batch)
        assert one.counts.dead > dead_letters


def test_what_failed_in_a_full_redis_is_said_once_and_counts_no_attempt(
    own_server: Server, consumer: MakeConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    with Publisher(settings=Settings.read(redis_url=own_server.url, pattern="stream")) as publisher:
        publisher.send(messages("bad", "good"))
    one = consumer(own_server.url, max_attempts=2)
    with redis.Redis(port=own_server.port) as client:
        for _ in range(3):
            batch = one.take()
            client.config_set("maxmemory", "1")
            for delivery in batch:
                assert delivery.message is not None
                if delivery.message.message == "bad":
                    delivery.fail(ValueError())
                else:
                    delivery.ack()
            one.flush(batch)
            client.config_set("maxmemory", "0")

        assert pending(client) == 1
        assert client.exists(keys.of(S).dead) == 0
        one.fail(ValueError())
        assert client.exists(keys.of(S).dead) == 0
        one.fail(ValueError())
        assert client.xlen(keys.of(S).dead) == 1
    assert caplog.text.count("Redis is full") == 1


def test_many_dead_letters_go_in_several_steps(
    consumer: MakeConsumer, client: redis.Redis, server: Server, dead: DeadLetters
) -> None:
    # Given 15 messages of 200 KB that all die in one batch
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="stream")) as publisher:
        publisher.send([Message.create("x" * 200_000, count=n + 1) for n in range(15)])
    one = consumer(max_attempts=1, lease_seconds=30)
    client.config_resetstat()

    assert one.fail(ValueError()) == 15

    assert len(dead.all()) == 15
    assert one.counts.dead == 15
    assert one.counts.late == 0
    assert pending(client) == 0
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] >= 8
