"""With ONCE_SECONDS the reliable queue handles an id once, however often it was published."""

import redis
import reliable_driver
from reliable_driver import MakeConsumer, Q, leftovers

from shared import keys
from shared.message import Message
from shared.publishing import Publisher

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
    assert 0 < client.pttl(keys.once(Q, str(message.id))) <= 60_000


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
