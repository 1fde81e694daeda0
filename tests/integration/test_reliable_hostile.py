"""What others write under the keys of a reliable queue is input: it stops nobody."""

import hashlib
import logging

import pytest
import redis
import reliable_driver
from driver import messages
from messages import wire
from reliable_driver import MakeConsumer, Q, dead_letters, leftovers

from townpost import keys
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


@pytest.mark.parametrize("member", [b"\xff", b"", b"x" * 100, b"{reliable_queue}:claim:\xff\x00:1"])
@pytest.mark.parametrize("score", ["1", "1.5", "-inf", "+inf", "9e300"])
def test_a_foreign_lease_is_dropped(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, member: bytes, score: str
) -> None:
    client.execute_command("ZADD", keys.of(Q).leases, score, member)
    publisher.send(messages("a"))
    one = consumer()

    assert one.handle() == ["a"]

    while leftovers(client):
        one.take(seconds=0.1)


def test_a_lease_of_a_key_of_another_type_is_dropped(consumer: MakeConsumer, client: redis.Redis) -> None:
    name = keys.of(Q).claim("x", 1)
    client.set(name, "a string")
    client.zadd(keys.of(Q).leases, {name: 1.5})

    one = consumer()
    one.take(seconds=0.1)

    while client.exists(keys.of(Q).leases):
        one.take(seconds=0.1)


@pytest.mark.parametrize("place", [keys.of(Q).scheduled, keys.of(Q).priority])
@pytest.mark.parametrize("member", [b"short", b"", b"\xff" * 30, b"1" * 20 + b"x" + b"{}"])
def test_a_malformed_member_ends_among_the_dead_letters(
    consumer: MakeConsumer, client: redis.Redis, place: str, member: bytes
) -> None:
    # Given a queue that is not empty, so that urgent ones are looked at
    client.rpush(Q, wire("a"))
    client.zadd(place, {member: 1})
    one = consumer()

    heard = []
    while not client.exists(keys.of(Q).dead) or "a" not in heard:
        batch = one.take(seconds=0.1)
        for delivery in batch:
            if delivery.message is not None:
                heard.append(delivery.message.message)
            delivery.fail(delivery.problem) if delivery.problem else delivery.ack()
        one.flush(batch)

    assert [dead_letter.payload for dead_letter in dead_letters(one)] == [member]
    assert heard == ["a"]


@pytest.mark.parametrize("wrong", ["string", "list", "zset", "hash"])
@pytest.mark.parametrize("companion", keys.types(Q))
def test_a_companion_of_another_type_is_set_aside(
    consumer: MakeConsumer,
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    companion: str,
    wrong: str,
) -> None:
    if keys.types(Q)[companion] == wrong:
        return
    # Given a consumer, and a key of ours that somebody wrote
    one = consumer(max_attempts=2, lease_seconds=1)
    write = {
        "string": ("SET", companion, "x"),
        "list": ("RPUSH", companion, "x"),
        "zset": ("ZADD", companion, "1", "x"),
        "hash": ("HSET", companion, "x", "y"),
    }
    client.execute_command(*write[wrong])

    # When messages come, of which one fails
    with caplog.at_level(logging.ERROR):
        client.rpush(Q, wire("good"), wire("bad"))
        heard: list[str] = []
        while "good" not in heard or not client.exists(keys.of(Q).dead) or heard.count("bad") < 2:
            batch = one.take(seconds=0.1)
            for delivery in batch:
                text = delivery.message.message if delivery.message else ""
                heard.append(text)
                delivery.ack() if text == "good" else delivery.fail(ValueError())
            one.listener.settle(batch)

    # Then all goes on, and the log names the key where it was in the way
    assert heard.count("good") == 1
    for record in caplog.records:
        if "renamed" in record.getMessage():
            assert companion in record.getMessage()


@pytest.mark.parametrize("count", [b"nan", b"inf", b"-5", b"9" * 5000, b"\xff", b"1e400"])
def test_a_count_that_is_no_number_is_none(consumer: MakeConsumer, client: redis.Redis, count: bytes) -> None:
    payload = wire("bad")
    sum_ = hashlib.sha1(payload, usedforsecurity=False).hexdigest()
    for key in (keys.of(Q).attempts, keys.of(Q).crashes):
        client.hset(key, sum_, count)
    client.rpush(Q, payload)
    one = consumer(max_attempts=10_000_000)

    assert one.fail(ValueError("no")) == 1
    assert one.fail(ValueError("no")) == 1  # it comes again, and the pause was a number
