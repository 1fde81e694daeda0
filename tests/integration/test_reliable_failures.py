"""What fails on the reliable queue is tried again, then dead, and can be put back."""

import json
from datetime import UTC, datetime

import pytest
import redis
import reliable_driver
from driver import messages
from messages import wire
from reliable_driver import MakeConsumer, Q, dead_letters, leftovers

from lab.server import Server
from townpost import keys
from townpost.patterns import PATTERNS
from townpost.patterns.dead_letters import DeadLetters
from townpost.patterns.reliable.inspect import scheduled
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def test_a_failure_is_tried_again_and_then_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("bad", "good"))
    one = consumer(max_attempts=3)

    tries = 0
    while True:
        batch = one.take(seconds=1)
        if not len(batch):
            break
        for delivery in batch:
            assert delivery.message is not None
            if delivery.message.message == "bad":
                tries += 1
                delivery.fail(ValueError("no good"))
            else:
                delivery.ack()
        one.flush(batch)

    (dead_letter,) = dead_letters(one)
    assert tries == 3
    assert (dead_letter.reason, dead_letter.error, dead_letter.attempts) == ("failed", "ValueError: no good", 3)
    assert leftovers(client) == [keys.of(Q).dead.encode()]


@pytest.mark.alone
def test_the_pause_before_a_retry_doubles_up_to_the_cap(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given no luck with the jitter
    monkeypatch.setattr("random.random", lambda: 1.0)
    client.set(keys.of(Q).forwarder, "another")
    publisher.send(messages("bad"))
    one = consumer(backoff_seconds=0.05, backoff_cap_seconds=0.15)

    pauses = []
    for _ in range(4):
        batch = one.take()
        for delivery in batch:
            delivery.fail(ValueError())
        one.flush(batch)
        ((due, _),) = scheduled(one.listener._connection, Q, 1).rows
        pauses.append((due - datetime.now(UTC)).total_seconds())

    assert [round(pause, 2) for pause in pauses] == pytest.approx([0.05, 0.10, 0.15, 0.15], abs=0.02)


def test_what_cannot_be_read_is_dead_at_once(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.rpush(Q, b"rubbish", wire("fine"))
    one = consumer()
    batch = one.take()
    for delivery in batch:
        if delivery.problem is not None:
            delivery.fail(delivery.problem)
        else:
            delivery.ack()
    one.flush(batch)

    (dead_letter,) = dead_letters(one)
    assert (dead_letter.payload, dead_letter.reason, dead_letter.attempts) == (b"rubbish", "unreadable", 1)


def test_only_the_message_that_kills_its_consumers_is_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given 500 messages, one of which kills whoever handles it
    publisher.send(messages(*[f"m{n}" for n in range(250)], "poison", *[f"m{n}" for n in range(250, 499)]))
    handled: list[str] = []

    # When consumers come and die
    deaths = 0
    one = consumer()
    while True:
        batch = one.take(seconds=1)
        if not len(batch):
            break
        died = False
        for delivery in batch:
            assert delivery.message is not None
            if delivery.message.message == "poison":
                died = True
                break
            delivery.ack()
            handled.append(delivery.message.message)
        if died:
            deaths += 1
            one.listener._renewer.close()  # nothing renews what a dead process held
            one = consumer()
        else:
            one.flush(batch)

    # Then it alone ends among the dead letters, and its neighbours were all handled
    (dead_letter,) = dead_letters(one)
    assert json.loads(dead_letter.payload)["message"] == "poison"
    assert (dead_letter.reason, dead_letter.crashes, dead_letter.attempts) == ("crashed", 3, 0)
    assert deaths == 4  # once with its neighbours, when nobody is blamed, and three times alone
    assert set(handled) == {f"m{n}" for n in range(499)}
    assert leftovers(client) == [keys.of(Q).dead.encode()]


def test_requeued_dead_letters_start_anew_and_keep_their_history(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a message that died of its failures, was requeued, and dies again
    publisher.send(messages("bad"))
    one = consumer(max_attempts=1)
    connection = Connection(server.url)
    connection.connect()
    dead = DeadLetters(connection, PATTERNS["reliable"], Q)
    for error in ("first", "second"):
        batch = one.take()
        for delivery in batch:
            delivery.fail(ValueError(error))
        one.flush(batch)
        if error == "first":
            assert dead.requeue([dead_letter.id for dead_letter in dead.all()]) == 1

    # Then the dead letter tells of both
    (dead_letter,) = dead.all("failed")
    assert (dead_letter.error, dead_letter.attempts) == ("ValueError: second", 1)
    assert [(past["error"], past["attempts"]) for past in dead_letter.history] == [("ValueError: first", 1)]

    # And handled at last, it leaves nothing
    dead.requeue([dead_letter.id])
    assert one.handle() == ["bad"]
    assert leftovers(client) == []
    connection.close()
