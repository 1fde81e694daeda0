"""What a member of a group reads from a stream is its own while its lease lasts, and others' afterwards."""

import time

import pytest
import redis
import stream_driver
from apps import until
from driver import messages
from stream_driver import MakeConsumer, held, pending

from lab.server import Server
from townpost.patterns.dead_letters import DeadLetters
from townpost.patterns.leased import LeasedBatch
from townpost.patterns.stream.entries import Entries
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection

consumer = stream_driver.consumer
publisher = stream_driver.publisher
dead = stream_driver.dead


def test_what_a_dead_consumer_held_comes_again_after_the_lease_one_by_one(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a consumer that died with three messages in flight
    publisher.send(messages("a", "b", "c"))
    died = consumer()
    died.die()
    died.take()
    started = time.monotonic()

    # When another looks
    other = consumer()
    first = other.handle()

    # Then it gets them, each alone, when the lease has run out
    assert 0.25 < time.monotonic() - started < 2
    assert [first, other.handle(), other.handle()] == [["a"], ["b"], ["c"]]
    assert other.counts.recovered == 3
    assert pending(client) == 0


def test_what_a_dead_consumer_held_comes_although_another_is_at_work_on_older_messages(
    consumer: MakeConsumer, publisher: Publisher
) -> None:
    # Given a consumer that has a dozen messages in flight for long, and one that died with the next
    publisher.send(messages(*[f"m{n}" for n in range(12)], "left"))
    slow, died, other = consumer(), consumer(), consumer()
    assert len(slow.take(12)) == 12
    died.die()
    assert len(died.take()) == 1

    # Then a third gets what the dead one held
    assert other.handle(seconds=2) == ["left"]


def test_a_lease_is_kept_after_the_retry_of_its_first_message_has_ended(
    server: Server, consumer: MakeConsumer, publisher: Publisher
) -> None:
    # Given a consumer with a batch at work, whose first message has failed and left it
    publisher.send(messages("failing", "slow"))
    one = consumer()
    pipeline, open_ = one.listener.acknowledge_apart(Connection(server.url))
    open_()
    batch = one.take()
    assert isinstance(batch, LeasedBatch)
    batch.position = 2
    batch.answered(0, ValueError())
    part = batch.part((), 16)
    assert part is not None
    pipeline.unconfirmed.append(part)
    pipeline.exchange([])

    # When it also gets the retry, and ends it
    retry = one.take()
    assert isinstance(retry, Entries)
    retry.answered(0, None)
    pipeline.unconfirmed.append(retry)
    pipeline.exchange([])

    # Then the lease of the batch goes on
    leased_until = batch.leased_until
    until(lambda: batch.leased_until > leased_until, 5)


def test_a_lease_is_kept_while_the_handler_works(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a handler that takes three leases' time
    publisher.send(messages("slow"))
    slow, other = consumer(), consumer()
    batch = slow.take()

    taken = other.take(seconds=0.9)

    assert len(taken) == 0
    for delivery in batch:
        delivery.ack()
    slow.flush(batch)
    assert slow.counts.late == 0
    assert pending(client) == 0


def test_renewing_does_not_count_as_handing_out(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("slow"))
    one = consumer()
    one.take()
    time.sleep(0.5)  # the renewer's turn comes every 0.1 s

    idle, handed_out = held(client)
    assert idle < 300
    assert handed_out == 1


def test_a_handler_that_hangs_loses_its_lease(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("stuck"))
    stalled, other = consumer(handler_timeout=0.2), consumer()
    stalled.take()

    assert other.handle(seconds=3) == ["stuck"]


def test_a_late_acknowledgement_is_counted_and_breaks_nothing(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a message whose lease ran out, and that another consumer has now
    publisher.send(messages("a"))
    slow, other = consumer(), consumer()
    slow.die()
    batch = slow.take()
    (begun,) = batch
    others = other.take()

    # When both acknowledge it
    begun.ack()
    slow.flush(batch)
    for delivery in others:
        delivery.ack()
    other.flush(others)

    # Then whoever came second knows, and it is handled
    assert (slow.counts.late, other.counts.late) == (0, 1)
    assert pending(client) == 0


def test_a_late_failure_changes_nothing(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    publisher.send(messages("a"))
    slow, other = consumer(max_attempts=1), consumer()
    slow.die()
    batch = slow.take()
    (begun,) = batch
    others = other.take()
    assert len(others) == 1

    begun.fail(ValueError("too late anyway"))
    slow.flush(batch)

    assert (slow.counts.dead, slow.counts.retried, dead.all()) == (0, 0, [])
    for delivery in others:
        delivery.ack()
    other.flush(others)
    assert other.counts.late == 0
    assert pending(client) == 0


@pytest.mark.parametrize("max_attempts", [1, 5])
def test_what_was_not_begun_at_a_stop_is_others_at_once(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, max_attempts: int
) -> None:
    # Given leases that would take long to run out
    publisher.send(messages(*"abcd"))
    one, other = (consumer(lease_seconds=30, max_attempts=max_attempts) for _ in range(2))
    batch = one.take()
    next(iter(batch)).ack()

    # When one stops in the middle of its batch
    one.listener.settle(batch)
    one.listener.close()

    assert other.handle(seconds=1) == ["b", "c", "d"]
    assert other.counts.dead == 0
    assert pending(client) == 0
