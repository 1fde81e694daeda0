"""What fails on a stream is tried again, then dead, and can be put back."""

import pytest
import redis
import stream_driver
from driver import messages
from messages import wire
from stream_driver import MakeConsumer, S, held, pending, text_of

from townpost import keys
from townpost.patterns.dead_letters import DeadLetters
from townpost.publishing.publisher import Publisher

unhurried = stream_driver.unhurried
consumer = stream_driver.consumer
publisher = stream_driver.publisher
dead = stream_driver.dead


def test_a_failure_is_tried_again_and_then_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    publisher.send(messages("bad", "good"))
    one = consumer(max_attempts=3)

    tries = 0
    while not dead.all():
        for delivery in (batch := one.take()):
            assert delivery.message is not None
            if delivery.message.message == "bad":
                tries += 1
                delivery.fail(ValueError("no good"))
            else:
                delivery.ack()
        one.flush(batch)

    (dead_letter,) = dead.all()
    assert tries == 3
    assert (dead_letter.reason, dead_letter.error, dead_letter.attempts) == ("failed", "ValueError: no good", 3)
    assert (text_of(dead_letter), dead_letter.by, dead_letter.history) == ("bad", one.name, [])
    assert client.exists(keys.of(S).dead) == 1
    assert pending(client) == 0
    assert (one.counts.retried, one.counts.dead) == (2, 1)


@pytest.mark.alone
def test_the_pause_before_a_retry_doubles_up_to_the_lease(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given no luck with the jitter, and nobody who renews
    monkeypatch.setattr("random.random", lambda: 1.0)
    publisher.send(messages("bad"))
    one = consumer(backoff_seconds=0.2, lease_seconds=0.6)
    one.die()

    pauses = []
    for _ in range(4):
        one.fail(ValueError())
        pauses.append(0.6 - held(client)[0] / 1000)

    assert pauses == pytest.approx([0.2, 0.4, 0.6, 0.6], abs=0.1)


def test_a_retry_comes_when_its_pause_is_over_not_when_the_lease_is(
    unhurried: MakeConsumer, publisher: Publisher
) -> None:
    # Given a failure, and nothing else to do; the renewer works on meanwhile
    publisher.send(messages("bad"))
    one = unhurried(lease_seconds=5, backoff_seconds=0.01)
    for delivery in (batch := one.take()):
        delivery.fail(ValueError())
    one.listener.settle(batch)

    assert one.handle(seconds=3) == ["bad"]


def test_what_cannot_be_read_is_dead_at_once(consumer: MakeConsumer, client: redis.Redis, dead: DeadLetters) -> None:
    # Given rubbish, and an entry that somebody wrote otherwise
    client.xadd(S, {"message": b"rubbish"})
    client.xadd(S, {"text": "hello", "from": "elsewhere"})
    client.xadd(S, {"message": wire("fine")})
    one = consumer()

    batch = one.take()
    for delivery in batch:
        if delivery.problem is None:
            delivery.ack()
        else:
            delivery.fail(delivery.problem)
    one.flush(batch)

    assert [(dead_letter.payload, dead_letter.reason, dead_letter.attempts) for dead_letter in dead.all()] == [
        (b"rubbish", "unreadable", 1),
        (b"text hello from elsewhere", "unreadable", 1),
    ]
    assert pending(client) == 0


def test_only_the_message_that_kills_its_consumers_is_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    # Given 200 messages, one of which kills whoever handles it
    publisher.send(messages(*[f"m{n}" for n in range(100)], "poison", *[f"m{n}" for n in range(100, 199)]))
    handled: list[str] = []

    # When consumers come and die
    deaths = 0
    one = consumer(max_attempts=3)
    while pending(client) or not deaths:
        died = False
        for delivery in (batch := one.take(seconds=0)):
            assert delivery.message is not None
            if delivery.message.message == "poison":
                died = True
                break
            delivery.ack()
            handled.append(delivery.message.message)
        if died:
            deaths += 1
            one.die()
            one = consumer(max_attempts=3)
        else:
            one.flush(batch)

    # Then it alone ends among the dead letters, and its neighbours were all handled
    (dead_letter,) = dead.all()
    assert (text_of(dead_letter), dead_letter.reason) == ("poison", "crashed")
    assert "4 times" in dead_letter.error
    assert deaths == 4  # once with its neighbours, when nobody is blamed, and three times alone
    assert set(handled) == {f"m{n}" for n in range(199)}
    assert pending(client) == 0


@pytest.mark.parametrize("max_attempts", [1, 5])
def test_neighbours_of_a_message_that_kills_are_not_blamed(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters, max_attempts: int
) -> None:
    # Given a consumer that died at the first of three messages
    publisher.send(messages("poison", "b", "c"))
    died = consumer(max_attempts=max_attempts)
    died.die()
    next(iter(died.take()))

    other = consumer(max_attempts=max_attempts)
    texts: list[str] = []
    while pending(client):
        texts += other.handle(seconds=0)

    assert [text_of(dead_letter) for dead_letter in dead.all() if text_of(dead_letter) != "poison"] == []
    assert {"b", "c"} <= set(texts)


def test_a_requeued_dead_letter_comes_again_and_keeps_its_history(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    # Given a message that died of its failures, was requeued, and dies again
    publisher.send(messages("bad"))
    one = consumer(max_attempts=1)
    for error in ("first", "second"):
        assert one.fail(ValueError(error)) == 1
        if error == "first":
            assert dead.requeue([dead_letter.id for dead_letter in dead.all()]) == 1
            assert client.exists(keys.of(S).dead) == 0

    # Then the dead letter tells of both
    (dead_letter,) = dead.all("failed")
    assert (dead_letter.error, dead_letter.attempts) == ("ValueError: second", 1)
    assert [(past["error"], past["attempts"]) for past in dead_letter.history] == [("ValueError: first", 1)]

    # And handled at last, it leaves nothing
    dead.requeue([dead_letter.id])
    assert one.handle() == ["bad"]
    assert dead.all() == []
    assert pending(client) == 0


def test_an_unreadable_dead_letter_is_requeued_as_it_was(
    consumer: MakeConsumer, client: redis.Redis, dead: DeadLetters
) -> None:
    client.xadd(S, {"message": b"\xff\x00rubbish"})
    one = consumer()
    one.fail(ValueError())

    dead.requeue([dead_letter.id for dead_letter in dead.all()])
    one.fail(ValueError())

    (dead_letter,) = dead.all()
    assert dead_letter.payload == b"\xff\x00rubbish"
    assert [past["reason"] for past in dead_letter.history] == ["unreadable"]
