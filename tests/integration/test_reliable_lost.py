"""A consumer that lost its lease stops at once: what it has not begun is another's."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import redis
import reliable_driver
from conftest import Start
from driver import messages
from messages import wire
from reliable_driver import Consumer, MakeConsumer, Q, leftovers
from workers import until

from townpost import keys
from townpost.patterns.leased import LeasedBatch
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher

HANDLER = """
import os, pathlib, time

def handle(message):
    with open(pathlib.Path(os.environ["FOLDER"]) / str(os.getpid()), "a") as journal:
        journal.write(message.message + "\\n")
    time.sleep(0.05)
"""


@pytest.mark.alone
def test_a_consumer_frozen_past_its_lease_begins_no_more_of_what_it_held(
    start: Start, client: redis.Redis, tmp_path: Path
) -> None:
    # Given a subscriber that took 30 messages and is frozen when it has begun a few
    (tmp_path / "slow.py").write_text(HANDLER)
    settings = {"PATTERN": "reliable", "PREFETCH": "30", "LEASE_SECONDS": "0.6", "HANDLER": "slow:handle"}
    settings |= {"PYTHONPATH": str(tmp_path), "FOLDER": str(tmp_path)}

    def begun(process: int) -> list[str]:
        file = tmp_path / str(process)
        return file.read_text().split() if file.exists() else []

    client.rpush(Q, *[wire(str(n)) for n in range(30)])
    frozen = start("subscriber", **settings)
    until(lambda: len(begun(frozen.pid)) >= 3)
    os.kill(frozen.pid, signal.SIGSTOP)
    before = len(begun(frozen.pid))

    # When another has handled all of them, and it wakes up
    other = start("subscriber", **settings)
    until(lambda: len(begun(other.pid)) >= 30)
    os.kill(frozen.pid, signal.SIGCONT)
    frozen.wait_for("too late")

    # Then it begins none of them
    assert len(begun(frozen.pid)) == before
    assert Counter(begun(other.pid)) == Counter(str(n) for n in range(30))
    until(lambda: leftovers(client) == [])


def held(one: Consumer) -> LeasedBatch:
    batch = one.take()
    assert isinstance(batch, LeasedBatch)
    return batch


def test_the_renewal_says_that_the_claim_is_lost(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a batch that is at work, and its claim recovered by another
    publisher.send(messages(*"abc"))
    one = consumer()
    batch = held(one)
    next(iter(batch)).ack()
    client.zadd(keys.of(Q).leases, {batch.name: 1.5})
    assert consumer(lease_seconds=30).handle() == ["a"]

    # When its lease is to be renewed
    until(lambda: batch.lost)

    # Then nothing more of it is begun, and its late answer changes nothing
    assert list(batch) == []
    one.flush(batch)
    assert one.counts.late == 1


def test_a_long_pause_is_noticed_before_the_next_message_is_begun(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages(*"abc"))
    batch = held(consumer(lease_seconds=30))
    next(iter(batch)).ack()

    batch.leased_until = batch.until = time.monotonic() - 0.001  # the process stalled for longer than its lease

    assert list(batch) == []
    assert not batch.lost  # that is for Redis to say


def test_a_renewed_lease_lets_the_batch_go_on(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages(*"abc"))
    batch = held(consumer(lease_seconds=0.3))
    first = batch.leased_until
    next(iter(batch)).ack()

    until(lambda: batch.leased_until > first and time.monotonic() > first)

    assert [delivery.message and delivery.message.message for delivery in batch] == ["b", "c"]


def test_what_is_left_of_a_claim_that_was_recovered_in_part_is_no_longer_its_consumers(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    # Given a claim so large that it is recovered in two runs, and its consumer that stalled
    payloads = [wire(f"{n:04}" + "x" * 4_000) for n in range(1_000)]
    client.rpush(Q, *payloads)
    one, other = consumer(lease_seconds=0.5, max_crashes=1), consumer(lease_seconds=0.5, max_crashes=1)
    batch = held(one)
    assert len(batch) == 1_000
    one.die()
    acked = [next(iter(batch)) for _ in range(100)]
    for delivery in acked:
        delivery.ack()

    # When another has recovered the first part, and the consumer wakes up and settles
    while not other.listener._counts.recovered:
        other.listener.take(1)
    assert other.listener._counts.recovered < 1_000
    one.flush(batch)

    # Then that changes nothing: each message is still there, and none is blamed
    suspects = client.llen(keys.of(Q).suspects)
    rest = sum(client.llen(name) for name in client.keys("*:claim:*"))
    assert (one.counts.late, suspects + rest) == (1, 1_000)
    while left := [key for key in client.keys("*:rest") if isinstance(key, bytes)]:
        other.listener._recovery.take_over(other.listener._connection, left)
    assert client.lrange(keys.of(Q).suspects, 0, -1) == payloads
    assert not client.exists(keys.of(Q).crashes, keys.of(Q).dead)
