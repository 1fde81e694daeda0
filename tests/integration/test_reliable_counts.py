"""Attempts and crashes are counted beside the queue while there is a message to count for; settling stays cheap."""

import time
from collections.abc import Callable

import pytest
import redis
import reliable_driver
from messages import wire
from reliable_driver import MakeConsumer, Q, dead_letters

from townpost import keys
from townpost.message import Message
from townpost.patterns.reliable.forwarder import Forwarder

consumer = reliable_driver.consumer

DAY_MS = 24 * 3600 * 1000
BATCH = 1000


def identity(client: redis.Redis, payload: bytes) -> bytes:
    found = client.eval("return redis.sha1hex(ARGV[1])", 0, payload)
    assert isinstance(found, bytes)
    return found


def count(client: redis.Redis, payload: bytes, attempts: bytes | int) -> bytes:
    """As if its handler had failed so often; the member of `counted`."""
    seconds, _ = client.time()
    sum_ = identity(client, payload)
    client.hset(keys.of(Q).attempts, sum_, attempts)
    client.zadd(keys.of(Q).counted, {sum_ + payload[:64]: seconds * 1000})
    return sum_ + payload[:64]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_counts_of_messages_that_others_popped_are_forgotten_after_a_day(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    # Given a message that failed and crashed, that a plain BLPOP consumer took, and one that failed today
    popped = wire("popped")
    old = count(client, popped, 2)
    client.hset(keys.of(Q).crashes, identity(client, popped), 1)
    client.hset(keys.of(Q).history, identity(client, popped), "[]")
    today = count(client, wire("today"), 1)

    # When a day has passed for the first, and the forwarder runs
    client.zincrby(keys.of(Q).counted, -DAY_MS - 1000, old)
    consumer().handle(seconds=0.2)

    # Then its counts are gone, and only its
    wait_for(lambda: client.zrange(keys.of(Q).counted, 0, -1) == [today])
    assert client.hlen(keys.of(Q).attempts) == 1
    assert client.hlen(keys.of(Q).crashes) == client.hlen(keys.of(Q).history) == 0


def test_many_old_counts_are_forgotten_a_part_at_a_time(consumer: MakeConsumer, client: redis.Redis) -> None:
    for number in range(250):
        client.zadd(keys.of(Q).counted, {b"%040d" % number + b"{": 1})
        client.hset(keys.of(Q).attempts, f"{number:040}", 1)
    one = consumer()
    one.handle(seconds=0.2)
    forwarder = one.listener._forwarder
    assert isinstance(forwarder, Forwarder)

    def ring() -> bool:
        client.lpush(keys.of(Q).bell, 1)
        return client.exists(keys.of(Q).counted, keys.of(Q).attempts) == 0

    wait_for(ring)


def pipeline(client: redis.Redis, consumer: MakeConsumer, foreign: int) -> float:
    """Microseconds of the server for the settlement of a batch, beside so many counts of other messages."""
    client.flushall()
    for number in range(foreign):
        count(client, wire(f"popped by others {number}"), 1)
    one = consumer(lease_seconds=60)
    found = []
    for _ in range(15):
        client.rpush(Q, *[wire(str(number)) for number in range(BATCH)])
        batch = one.take(BATCH)
        for delivery in batch:
            delivery.ack()
        client.config_resetstat()
        one.flush(batch)
        found.append(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])
    one.listener.close()
    return float(min(found))


@pytest.mark.alone
def test_counts_of_messages_that_never_come_do_not_slow_down_each_settlement(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    none, ten, thousand = (pipeline(client, consumer, foreign) for foreign in (0, 10, 1000))

    # a batch of 1,000 takes the consumer 7 ms
    assert ten < none + 1000
    assert thousand < none + 2000


@pytest.mark.parametrize(
    "attempts", [b"nan", b"-nan", b"inf", b"-inf", b"-5", b"9" * 5000, b"\xff", b"", b"1e400", b"0x10", b"1 2", b"2.7"]
)
@pytest.mark.parametrize("backoff", [0, 0.01])
def test_a_malformed_count_of_attempts_is_zero_or_bounded(
    consumer: MakeConsumer, client: redis.Redis, attempts: bytes, backoff: float
) -> None:
    # Given a message beside which another program wrote nonsense
    payload = Message.create("a").encode()
    count(client, payload, attempts)
    client.hset(keys.of(Q).crashes, identity(client, payload), attempts)
    client.rpush(Q, payload)
    one = consumer(backoff_seconds=backoff, max_attempts=3, backoff_cap_seconds=0.05)

    # When its handler fails each time
    for _ in range(3):
        one.fail(ValueError("no"))
        if client.exists(keys.of(Q).dead):
            break

    # Then it dies, with counts that are numbers
    (dead_letter,) = dead_letters(one)
    assert 1 <= dead_letter.attempts <= 1_000_001
    assert 0 <= dead_letter.crashes <= 1_000_001
    assert client.zcard(keys.of(Q).counted) == client.hlen(keys.of(Q).attempts) == client.hlen(keys.of(Q).crashes) == 0


@pytest.mark.parametrize("backoff", [0, 0.001])
@pytest.mark.parametrize("attempts", [1_031, 999_999])
def test_the_back_off_of_the_thousandth_attempt_is_a_number(
    consumer: MakeConsumer, client: redis.Redis, attempts: int, backoff: float
) -> None:
    # Given a message whose doubled pause would be beyond what a double holds, and nothing times infinity no number
    payload = wire("a")
    count(client, payload, attempts - 1)
    client.rpush(Q, payload)
    one = consumer(backoff_seconds=backoff, backoff_cap_seconds=0.05, max_attempts=1_000_000)

    one.fail(ValueError("no"))

    # Then it comes again at once, not at a time that is no number
    assert client.hget(keys.of(Q).attempts, identity(client, payload)) == b"%d" % attempts
    assert one.handle() == ["a"]
    assert client.exists(keys.of(Q).attempts, keys.of(Q).counted, keys.of(Q).scheduled) == 0
