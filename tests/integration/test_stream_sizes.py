"""No read of a stream holds much more than 16 MiB, and what is too long dies without travelling again."""

import pytest
import redis
import stream_driver
from driver import messages
from stream_driver import MakeConsumer, S, pending

from lab.server import Server
from townpost import keys
from townpost.message import Message
from townpost.patterns.dead_letters import DeadLetters
from townpost.patterns.stream.entries import READ_BYTES
from townpost.publishing.publisher import Publisher

consumer = stream_driver.consumer
publisher = stream_driver.publisher
dead = stream_driver.dead

MIB = 1024 * 1024


def large(publisher: Publisher, count: int, size: int = MIB - 300) -> None:
    for n in range(count):
        publisher.send([Message.create("x" * size, count=n + 1)])


def read_all(one: stream_driver.Consumer) -> list[int]:
    """The bytes of each batch, all acknowledged."""
    sizes = []
    while payloads := (batch := one.take(seconds=0.2)).payloads:
        sizes.append(sum(map(len, payloads)))
        for delivery in batch:
            delivery.ack()
        one.flush(batch)
    return sizes


@pytest.mark.alone
def test_a_read_holds_no_more_than_its_share(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    # Given one small message, then 60 of 1 MiB
    publisher.send(messages("small"))
    large(publisher, 60)
    client.config_set("slowlog-log-slower-than", 20_000)
    client.slowlog_reset()
    one = consumer(lease_seconds=30)

    sizes = read_all(one)

    assert sum(sizes) > 59 * MIB
    assert max(sizes) <= READ_BYTES + MIB
    assert [entry["command"][:40] for entry in client.slowlog_get(10) if entry["duration"] > 50_000] == []


@pytest.mark.alone
def test_large_ones_after_many_small_ones_come_in_one_large_read_at_most(
    consumer: MakeConsumer, publisher: Publisher
) -> None:
    # Given members used to small messages. Redis does not tell how large entries are before they come
    publisher.send(messages(*["small"] * 200))
    large(publisher, 100)
    one = consumer(lease_seconds=30)

    sizes = read_all(one)

    assert len([size for size in sizes if size > READ_BYTES + MIB]) <= 1


@pytest.mark.alone
def test_what_was_given_back_is_taken_a_part_at_a_time(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    large(publisher, 60)
    one = consumer(lease_seconds=30)
    one.listener._size.of = lambda limit: limit  # type: ignore[method-assign]  # the fault, put where the method was
    batch = one.take()
    assert len(batch) == 60
    client.config_set("slowlog-log-slower-than", 20_000)
    client.slowlog_reset()
    one.flush(batch)

    sizes = read_all(consumer(lease_seconds=30))

    assert sum(sizes) > 59 * MIB
    assert max(sizes) <= READ_BYTES + MIB
    assert [entry["command"][:40] for entry in client.slowlog_get(10) if entry["duration"] > 50_000] == []


@pytest.mark.alone
@pytest.mark.parametrize("size", [3 * MIB, 60 * MIB])
def test_what_is_too_long_is_moved_by_the_server(
    consumer: MakeConsumer, client: redis.Redis, dead: DeadLetters, server: Server, size: int
) -> None:
    # Given an entry over MAX_MESSAGE_BYTES between two others
    client.xadd(S, {"message": b"x" * size})
    one = consumer(lease_seconds=30)
    batch = one.take()
    (delivery,) = batch
    assert delivery.problem is not None
    before = int(client.info("stats")["total_net_input_bytes"])

    delivery.fail(delivery.problem)
    one.flush(batch)

    # Then it does not travel back; and what no script may copy is kept by its beginning
    assert int(client.info("stats")["total_net_input_bytes"]) - before < 100_000
    (dead_letter,) = dead.all()
    assert dead_letter.reason == "unreadable"
    assert len(dead_letter.payload) == (size if size <= READ_BYTES else 2048)
    assert (f"{size:,} bytes") in dead_letter.error
    assert pending(client) == 0
    assert client.exists(keys.of(S).dead) == 1
    assert server.port
