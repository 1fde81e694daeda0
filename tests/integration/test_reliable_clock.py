"""Leases are deadlines by the server's wall clock, which may jump."""

import time
from collections import Counter
from collections.abc import Iterator

import clocks
import pytest
import redis
from messages import wire
from reliable_driver import Consumer, Q, leftovers
from workers import until, working

from townpost import keys

pytestmark = [
    pytest.mark.alone,
    clocks.NEEDED,
]


@pytest.fixture
def clock() -> Iterator[clocks.Server]:
    with clocks.Server() as server:
        yield server


@pytest.mark.parametrize("seconds", [60, -3600])
def test_a_jump_begins_nothing_twice(clock: clocks.Server, seconds: int) -> None:
    # Given two consumers with messages in flight
    client = redis.Redis(port=clock.port)
    with working(clock, 2, lambda _: time.sleep(3), prefetch=1, lease_seconds=3) as workers:
        client.rpush(Q, wire("a"), wire("b"))
        until(lambda: len(workers.begun) == 2)

        # When the clock jumps while their handlers are at work, and another looks at once for what has expired
        clock.jump(seconds)
        other = Consumer(clock.url, lease_seconds=3)
        assert other.handle(seconds=1) == []
        other.listener.close()

        # Then each is handled once
        workers.wait(2)
        until(lambda: leftovers(client) == [])
    assert Counter(text for _, text in workers.begun) == {"a": 1, "b": 1}
    client.close()


def test_after_a_jump_back_the_work_of_a_lost_consumer_comes_after_a_lease(clock: clocks.Server) -> None:
    # Given a consumer that died with a message
    client = redis.Redis(port=clock.port)
    client.rpush(Q, wire("left behind"))
    died = Consumer(clock.url, lease_seconds=2)
    died.take()
    died.die()

    # When the clock goes back an hour
    clock.jump(-3600)
    started = time.monotonic()
    other = Consumer(clock.url, lease_seconds=2)

    # Then another has it after about a lease
    assert other.handle(seconds=20) == ["left behind"]
    assert time.monotonic() - started < 8
    for one in (died, other):
        one.listener.close()
    client.close()


def test_after_a_jump_forward_the_work_of_a_lost_consumer_comes_soon(clock: clocks.Server) -> None:
    client = redis.Redis(port=clock.port)
    client.rpush(Q, wire("left behind"))
    died = Consumer(clock.url, lease_seconds=30)
    died.take()
    died.die()

    clock.jump(60)
    other = Consumer(clock.url, lease_seconds=30)

    assert other.handle(seconds=10) == ["left behind"]
    assert client.zcard(keys.of(Q).leases) == 0
    for one in (died, other):
        one.listener.close()
    client.close()
