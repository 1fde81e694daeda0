"""With ONCE_SECONDS the reliable queue handles an id once, however often it was published."""

import time

import redis
import reliable_driver
from reliable_driver import MakeConsumer, Q, leftovers

from townpost import keys
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.patterns.reliable.claims import Claim
from townpost.patterns.reliable.upkeep import ClaimUpkeep
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def test_an_id_is_handled_once_if_asked_for(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    # Given a message that was published twice, and once more later
    message = Message.create("once")
    publisher.send([message, message])
    one = consumer(once_seconds=60)

    texts = one.drain(seconds=1.5)
    publisher.send([message])
    texts += one.drain(seconds=0.5)

    assert texts == ["once"]
    assert one.counts.duplicates == 2
    assert [key for key in leftovers(client) if b":once:" not in key] == []
    assert 0 < client.pttl(keys.of(Q).once(str(message.id))) <= 60_000


def test_what_cannot_be_read_has_no_id_and_keeps_nobody_from_being_handled_once(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given nothing but garbage, then garbage beside a message that was published twice
    client.rpush(Q, b"{", b"nonsense")
    one = consumer(once_seconds=60)
    assert one.drain(seconds=0.5) == ["?", "?"]

    message = Message.create("once")
    client.rpush(Q, b"{")
    publisher.send([message, message])

    assert one.drain(seconds=1.5) == ["?", "once"]
    assert one.counts.duplicates == 1


def test_an_id_in_another_consumers_hands_waits(consumer: MakeConsumer, publisher: Publisher) -> None:
    message = Message.create("once")
    publisher.send([message])
    one, other = (consumer(once_seconds=60, lease_seconds=5) for _ in range(2))
    batch = one.take()
    publisher.send([message])

    assert other.handle(seconds=0.5) == []

    for delivery in batch:
        delivery.ack()
    one.flush(batch)
    assert other.handle(seconds=1.5) == []
    assert other.counts.duplicates == 1


def claim_of(batch: Batch) -> Claim:
    assert isinstance(batch, Claim)
    return batch


def mark(client: redis.Redis, message: Message) -> bytes | None:
    found = client.get(keys.of(Q).once(str(message.id)))
    return found if isinstance(found, bytes) else None


def test_a_message_that_failed_is_not_remembered_as_done(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    good, bad = Message.create("good"), Message.create("bad")
    publisher.send([good, bad])
    one = consumer(once_seconds=60)
    batch = claim_of(one.take())
    for delivery in batch:
        assert delivery.message
        delivery.ack() if delivery.message.message == "good" else delivery.fail(ValueError("no"))
    one.flush(batch)

    assert mark(client, good) == b"done"
    assert mark(client, bad) == batch.name.encode()
    assert one.drain(seconds=1) == ["bad"]
    assert mark(client, bad) == b"done"
    assert all(client.pttl(key) > 0 for key in client.keys("*:once:*"))


def test_a_clean_stop_remembers_only_what_was_handled(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a consumer that stops after one of two
    first, second = Message.create("first"), Message.create("second")
    publisher.send([first, second])
    one = consumer(once_seconds=60)
    batch = one.take()
    next(iter(batch)).ack()
    one.flush(batch)
    one.listener.close()

    # Then the other is another consumer's, at once
    assert mark(client, first) == b"done"
    assert consumer(once_seconds=60).handle() == ["second"]


def test_what_a_dead_consumer_had_in_flight_is_handled_once_its_lease_has_run_out(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    message = Message.create("a")
    publisher.send([message])
    dead = consumer(once_seconds=60)
    dead.take()
    dead.die()

    other = consumer(once_seconds=60)
    assert other.handle() == ["a"]

    assert other.counts.duplicates == 0
    assert mark(client, message) == b"done"


def test_the_mark_of_what_is_in_flight_lives_as_long_as_its_claim(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a batch that takes many times as long as its mark lives without a renewal
    message = Message.create("slow")
    publisher.send([message])
    one, other = (consumer(once_seconds=0.1, handler_timeout=60, lease_seconds=0.3) for _ in range(2))
    for each in (one, other):
        each.listener._in_flight_ms = 600
        assert isinstance(each.listener._renewer._upkeep, ClaimUpkeep)
        each.listener._renewer._upkeep._once_ms = 600
    batch = one.take()
    deadline = time.monotonic() + 2.5

    # When the same id comes to another consumer meanwhile
    texts = []
    while time.monotonic() < deadline:
        publisher.send([message])
        texts += other.handle(seconds=0.3)

    # Then it waits
    assert texts == []
    assert mark(client, message) == claim_of(batch).name.encode()
    for delivery in batch:
        delivery.ack()
    one.flush(batch)


def test_what_is_split_from_a_batch_can_be_handled_by_another_at_once(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a consumer that is busy with the first of three
    made = [Message.create(text) for text in "abc"]
    publisher.send(made)
    busy, other = (consumer(once_seconds=60, lease_seconds=30) for _ in range(2))
    batch = claim_of(busy.take())
    first = next(iter(batch))

    # When the rest is given back
    busy.listener._renewer._upkeep.split(busy.listener._connection, batch, batch.stop_beginning(), [])

    # Then their ids are nobody's, that of the first is still the busy one's
    assert [mark(client, message) for message in made] == [batch.name.encode(), None, None]
    assert other.handle() == ["b", "c"]
    assert other.counts.duplicates == 0

    # And the end of the batch changes nothing for them
    first.ack()
    busy.flush(batch)
    assert [mark(client, message) for message in made] == [b"done"] * 3
    assert [key for key in leftovers(client) if b":once:" not in key] == []
