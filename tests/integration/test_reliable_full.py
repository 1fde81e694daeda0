"""A full Redis: draining goes on, takes no more memory, and loses nothing."""

import itertools
import threading
from collections.abc import Iterator
from typing import Self

import driver
import pytest
import redis
from messages import wire
from reliable_driver import Consumer, MakeConsumer, Q, dead_letters

from lab.server import Server
from townpost import keys
from townpost.errors import FullError
from townpost.patterns.contract import Batch

MEMORY = 30_000_000
MUCH = 5 * MEMORY
TEXT = "t" * 200
BAD = b'{"no": "message", "text": "' + b"t" * 400 + b'"}'


@pytest.fixture
def full_server() -> Iterator[Server]:
    with Server("--maxmemory", str(MEMORY), "--maxmemory-policy", "noeviction", appendfsync=None) as server:
        yield server


@pytest.fixture
def client(full_server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=full_server.port) as client:
        yield client


@pytest.fixture
def consumer(full_server: Server) -> Iterator[MakeConsumer]:
    with driver.making(Consumer, full_server) as make:
        yield make


class Watch:
    """The most memory that the server used meanwhile."""

    def __init__(self, client: redis.Redis) -> None:
        self.most = 0
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            self.most = max(self.most, int(self._client.info("memory")["used_memory"]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def fill(client: redis.Redis, *, bad: bool = False, size: int = 200) -> int:
    """As many messages as there is room for."""
    count = 0
    try:
        while True:
            made = [BAD + b" %d" % number for number in range(200)] if bad else []
            count = int(client.rpush(Q, *(made or [wire("t" * size) for _ in range(200)])))
    except redis.exceptions.OutOfMemoryError:
        return count


def settle(one: Consumer, batch: Batch) -> None:
    """Until it is; Redis refuses what needs room, and then what is sent again needs none."""
    one.listener.settle(batch)
    for _ in range(3):
        try:
            one.listener._pipeline.exchange([])
        except FullError:
            continue
        return
    raise AssertionError("no settlement is accepted")


def end(one: Consumer, *, fail: int) -> int:
    """Take a batch; so many of each ten fail. Returns how many were acknowledged."""
    acked = 0
    batch = one.take(seconds=0.5)
    for number, delivery in enumerate(batch):
        if number % 10 < fail or delivery.problem:
            delivery.fail(delivery.problem or ValueError("e" * 2000))
        else:
            delivery.ack()
            acked += 1
    settle(one, batch)
    return acked


def everything(client: redis.Redis) -> int:
    lists = [Q, keys.of(Q).handoff, keys.of(Q).suspects, *client.keys("*:claim:*")]
    return (
        sum(client.llen(name) for name in lists)
        + client.zcard(keys.of(Q).scheduled)
        + client.zcard(keys.of(Q).priority)
        + client.xlen(keys.of(Q).dead)
    )


@pytest.mark.slow
@pytest.mark.parametrize("attempts", [1, 2, 1000])
def test_what_fails_takes_no_more_memory_and_is_tried_again_when_there_is_room(
    consumer: MakeConsumer, client: redis.Redis, attempts: int
) -> None:
    # Given a Redis full of messages that all fail
    filled = fill(client)
    one = consumer(max_attempts=attempts, lease_seconds=60, backoff_cap_seconds=0.01)
    with Watch(client) as watch:
        for _ in range(60):
            end(one, fail=10)
        assert everything(client) == filled

        # When some are handled after all
        acked = sum(end(one, fail=5) for _ in range(20))

        # Then they are gone, no other is
        assert acked > 0
        assert everything(client) == filled - acked
    assert watch.most < MEMORY * 1.05

    # When there is room, the rest dies as it should
    client.config_set("maxmemory", MUCH)
    if attempts < 1000:
        for _ in range(600):
            if client.xlen(keys.of(Q).dead) == filled - acked:
                break
            assert end(one, fail=10) == 0
        assert client.xlen(keys.of(Q).dead) == filled - acked
        assert client.zcard(keys.of(Q).counted) == 0
    else:
        for _ in range(600):
            if not everything(client):
                break
            end(one, fail=0)
        assert everything(client) == 0
    one.listener.close()


@pytest.mark.slow
def test_what_is_unreadable_takes_no_more_memory_and_dies_when_there_is_room(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    filled = fill(client, bad=True)
    one = consumer(lease_seconds=60)
    with Watch(client) as watch:
        for _ in range(100):
            end(one, fail=10)
        assert everything(client) == filled
    assert watch.most < MEMORY * 1.05

    client.config_set("maxmemory", MUCH)
    for _ in range(300):
        if client.xlen(keys.of(Q).dead) == filled:
            break
        end(one, fail=10)
    assert client.xlen(keys.of(Q).dead) == filled
    assert {dead_letter.reason for dead_letter in dead_letters(one)} == {"unreadable"}
    one.listener.close()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 200])
def test_what_is_handled_once_can_be_drained_although_marks_take_room(
    consumer: MakeConsumer, client: redis.Redis, size: int
) -> None:
    # Given a Redis full of messages that are to be handled once
    filled = fill(client, size=size)
    one = consumer(once_seconds=600, lease_seconds=60, max_attempts=1000, backoff_cap_seconds=0.01)
    with Watch(client) as watch:
        acked = sum(end(one, fail=2) for _ in range(20))
        for _ in range(400):
            if not everything(client):
                break
            acked += end(one, fail=0)
    # Then all of it is, and no message that failed was marked as done
    assert acked == filled
    assert watch.most < MEMORY * 1.05
    assert all(client.pttl(key) > 0 for key in itertools.islice(client.scan_iter("*:once:*", count=1000), 100))
    one.listener.close()


def test_what_fails_in_a_full_redis_goes_back_uncounted(consumer: MakeConsumer, client: redis.Redis) -> None:
    # Given a Redis that is full
    fill(client)
    one = consumer(max_attempts=1, lease_seconds=60)

    with Watch(client) as watch:
        # When a batch fails, then it is at the end of the queue, nothing is counted, and nothing is dead
        batch = one.take(10)
        payloads = list(batch.payloads)
        for delivery in batch:
            delivery.fail(ValueError("e" * 2000))
        settle(one, batch)

    assert sorted(client.lrange(Q, -10, -1)) == sorted(payloads)
    assert client.exists(keys.of(Q).attempts, keys.of(Q).dead, keys.of(Q).scheduled) == 0
    assert watch.most < MEMORY * 1.05
    one.listener.close()
