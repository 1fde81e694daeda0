"""What the reliable queue costs in round trips and time, and what it does when something is full."""

import time

import pytest
import redis
import reliable_driver
from driver import messages
from messages import wire
from reliable_driver import Consumer, MakeConsumer, Q, leftovers

from lab.server import Server
from townpost.errors import FullError
from townpost.patterns.leased import LeasedBatch
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def test_a_batch_is_one_round_trip(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    for _ in range(10):
        publisher.send(messages(*[str(n) for n in range(100)]))
    one = consumer(lease_seconds=30)
    batch = one.take(100)
    client.config_resetstat()

    for _ in range(9):
        for delivery in batch:
            delivery.ack()
        one.listener.settle(batch)
        batch = one.take(100)

    # then each of nine batches cost one settle and one claim, in one write
    stats = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 18
    assert "cmdstat_blmove" not in stats


@pytest.mark.parametrize("size", [1, 1000])
def test_renewing_costs_the_same_for_a_claim_of_any_size(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, size: int
) -> None:
    publisher.send(messages(*["m"] * size))
    one = consumer(lease_seconds=30)
    batch = one.take()
    assert len(batch) == size
    client.config_resetstat()

    assert isinstance(batch, LeasedBatch)
    one.listener._recovery.renew(one.listener._connection, [batch.name])

    stats = client.info("commandstats")
    assert {name: stats[name]["calls"] for name in stats if "zadd" in name or "eval" in name or "lrange" in name} == {
        "cmdstat_zadd": 1,
        "cmdstat_eval": 1,
    }


def test_large_messages_are_taken_a_few_at_a_time(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.rpush(Q, *[wire("x" * (1024 * 1024 - 200)) for _ in range(40)])
    one = consumer()

    batch = one.take()

    assert 1 <= len(batch) <= 17
    assert client.llen(Q) + len(batch) == 40


def test_a_full_queue_refuses_until_there_is_room(server: Server, consumer: MakeConsumer) -> None:
    settings = Settings.read(redis_url=server.url, pattern="reliable", reliable_limit=3)
    with Publisher(settings=settings) as publisher:
        publisher.send(messages(*"abc"))
        with pytest.raises(FullError, match="3 messages are waiting"):
            publisher.send(messages("d"))

        assert consumer().handle() == ["a", "b", "c"]

        publisher.send(messages("d"))


def test_draining_works_when_redis_is_full_and_the_publisher_is_told(own_server: Server) -> None:
    with redis.Redis(port=own_server.port) as client:
        settings = Settings.read(redis_url=own_server.url, pattern="reliable")
        with Publisher(settings=settings) as publisher:
            publisher.send(messages(*[f"m{n}" for n in range(2000)]))
            client.config_set("maxmemory", "1")
            with pytest.raises(FullError, match="raise maxmemory or let the subscribers drain"):
                publisher.send(messages("more"))
            one = Consumer(own_server.url)

            texts = one.drain(seconds=0.5)

            assert len(texts) == 2000
            assert leftovers(client) == []
            one.listener.close()


def test_a_million_waiting_messages_cost_a_claim_no_more_than_a_thousand(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    def cost(depth: int) -> float:
        client.delete(Q)
        payload = wire()
        for _ in range(depth // 1000):
            client.rpush(Q, *[payload] * 1000)
        one = consumer(lease_seconds=30)
        times = []
        for _ in range(30):
            started = time.perf_counter()
            batch = one.take(100)
            for delivery in batch:
                delivery.ack()
            one.listener.settle(batch)
            times.append(time.perf_counter() - started)
        return sorted(times)[10]

    assert cost(1_000_000) < 3 * cost(4_000)
