"""What a consumer of the reliable queue takes is its own while its lease lasts, and nobody's loss afterwards."""

import json
import time

import pytest
import redis
import reliable_driver
from driver import messages
from messages import wire
from reliable_driver import MakeConsumer, Q, leftovers

from townpost import keys
from townpost.message import Message
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def test_what_is_acknowledged_is_gone_and_leaves_nothing(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("a", "b", "c"))

    assert consumer().handle() == ["a", "b", "c"]

    assert leftovers(client) == []


def test_the_wire_format_gains_no_byte(publisher: Publisher, client: redis.Redis) -> None:
    message = Message.create("a")
    publisher.send([message])

    assert client.lrange(Q, 0, -1) == [message.encode()]


def test_any_list_that_others_fill_will_do(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.rpush("message_queue", wire("from elsewhere"))

    assert consumer(reliable_queue="message_queue").handle() == ["from elsewhere"]
    assert leftovers(client) == []


def test_a_consumer_that_dies_between_wait_and_claim_strands_nothing(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    # Given a message that a consumer moved to the handoff before it died
    client.rpush(Q, wire("stranded"), wire("next"))
    client.blmove(Q, keys.of(Q).handoff, 1, "LEFT", "RIGHT")

    assert consumer().drain(seconds=0.5) == ["next", "stranded"]


@pytest.mark.alone
def test_what_a_dead_consumer_held_comes_again_after_the_lease_one_by_one(
    consumer: MakeConsumer, publisher: Publisher
) -> None:
    # Given a consumer that died with three messages in flight
    publisher.send(messages("a", "b", "c"))
    died = consumer()
    died.listener._renewer.close()
    died.take()
    started = time.monotonic()

    # When another looks
    other = consumer()
    first = other.handle()

    # Then it gets them, each alone, when the lease has run out
    assert 0.25 < time.monotonic() - started < 1.3
    assert [first, other.handle(), other.handle()] == [["a"], ["b"], ["c"]]
    assert other.counts.recovered == 3


def test_a_lease_is_kept_while_the_handler_works(consumer: MakeConsumer, publisher: Publisher) -> None:
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


def test_a_handler_that_hangs_loses_its_lease(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("stuck"))
    stalled, other = consumer(handler_timeout=0.2), consumer()
    stalled.take()

    assert other.handle(seconds=3) == ["stuck"]


def test_a_late_answer_is_counted_and_changes_nothing(consumer: MakeConsumer, publisher: Publisher) -> None:
    # Given a batch whose lease ran out, and that another consumer has now
    publisher.send(messages("a"))
    slow, other = consumer(), consumer()
    slow.listener._renewer.close()
    batch = slow.take()
    others = other.take()
    assert len(others) == 1

    # When the first one answers after all
    for delivery in batch:
        delivery.fail(ValueError("too late anyway"))
    slow.flush(batch)

    # Then that is counted, and the other's answer is what counts
    assert slow.counts.late == 1
    for delivery in others:
        delivery.ack()
    other.flush(others)
    assert other.counts.late == 0
    assert other.take(seconds=0.6).payloads == []


def test_what_was_not_begun_goes_back_to_the_head_in_order(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages(*"abcde"))
    one = consumer()
    batch = one.take(limit=4)
    next(iter(batch)).ack()

    one.flush(batch)

    assert [json.loads(raw)["message"] for raw in client.lrange(Q, 0, -1)] == list("bcde")
