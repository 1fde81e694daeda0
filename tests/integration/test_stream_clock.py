"""The server's wall clock may jump: nothing begins twice for that, and nothing waits for the clock to come back."""

import time
from collections.abc import Iterator

import clocks
import pytest
import redis
import stream_driver
from driver import messages
from stream_driver import GROUP, Consumer, MakeConsumer, S, pending

from townpost.errors import UnavailableError
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

pytestmark = [
    pytest.mark.alone,
    clocks.NEEDED,
]

consumer = stream_driver.consumer
LEASE = 1.5


@pytest.fixture
def jumping() -> Iterator[clocks.Server]:
    with clocks.Server() as server:
        yield server


@pytest.fixture
def other(jumping: clocks.Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=jumping.port) as client:
        yield client


def send(server: clocks.Server, *texts: str) -> None:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="stream")) as publisher:
        publisher.send(messages(*texts))


def handle(one: Consumer, seconds: float) -> list[str]:
    """As a service does it: a wait that Redis measures by the clock that went back is given up after a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if texts := one.handle(seconds=0):
                return texts
        except UnavailableError:
            one.listener.open()
    return []


@pytest.mark.parametrize("jump", [60, -3600])
def test_what_is_in_flight_begins_once_though_the_clock_jumps(
    jumping: clocks.Server, other: redis.Redis, consumer: MakeConsumer, jump: int
) -> None:
    # Given a member at work, and one that looks for what the dead left
    send(jumping, "slow")
    slow, looking = (consumer(jumping.url, lease_seconds=LEASE) for _ in range(2))
    (delivery,) = (batch := slow.take())
    assert len(looking.take(seconds=0.5)) == 0

    jumping.jump(jump)

    # Then the other gets nothing for two leases, and the work is acknowledged in time
    assert handle(looking, seconds=2 * LEASE) == []
    delivery.ack()
    slow.flush(batch)
    assert slow.counts.late == 0
    assert pending(other) == 0


@pytest.mark.parametrize("jump", [60, -3600])
def test_what_a_dead_member_held_comes_soon_after_a_jump(
    jumping: clocks.Server, other: redis.Redis, consumer: MakeConsumer, jump: int
) -> None:
    # Given a member that has died, and one that has looked around before the clock jumps
    send(jumping, "left")
    died, looking = (consumer(jumping.url, lease_seconds=LEASE) for _ in range(2))
    died.take()
    died.die()
    looking.take(seconds=0.3)

    jumping.jump(jump)
    started = time.monotonic()

    assert handle(looking, seconds=20) == ["left"]
    assert time.monotonic() - started < 4 * LEASE + 8
    assert pending(other) == 0


def test_a_retry_comes_soon_though_the_clock_goes_back(
    jumping: clocks.Server, other: redis.Redis, consumer: MakeConsumer
) -> None:
    send(jumping, "bad")
    one = consumer(jumping.url, lease_seconds=LEASE, backoff_seconds=0.5)
    one.fail(ValueError())

    jumping.jump(-3600)

    assert handle(one, seconds=20) == ["bad"]
    assert pending(other, GROUP) == 0
    assert other.xlen(S) == 1
