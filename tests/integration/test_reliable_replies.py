"""A reply of Redis that is lost on its way neither loses nor repeats a message of the reliable queue."""

import threading

import pytest
import redis
import reliable_driver
from driver import messages
from reliable_driver import MakeConsumer, leftovers

from lab.proxy import Proxy
from lab.server import Server
from townpost.errors import UnavailableError
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def test_a_lost_reply_to_a_claim_loses_nothing(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url)
        publisher.send(messages("a", "b"))

        proxy.swallow(b":claim:")
        with pytest.raises(UnavailableError):
            one.take()
        one.listener.open()

        assert one.handle() == ["a", "b"]
        assert proxy.swallowed == 1
        assert leftovers(client) == []


def test_a_lost_reply_to_a_wait_loses_nothing(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    with Proxy(server.port) as proxy:
        # Given a consumer that waits, and a message that wakes it in vain
        one = consumer(proxy.url)
        proxy.swallow(b"BLMOVE")
        sending = threading.Timer(0.2, publisher.send, [messages("a", "b")])
        sending.start()
        with pytest.raises(UnavailableError):
            one.take()
        sending.join()
        one.listener.open()

        assert one.drain(seconds=0.5) == ["a", "b"]
        assert proxy.swallowed == 1
        assert leftovers(client) == []


def test_a_lost_reply_to_an_acknowledgement_neither_loses_nor_repeats(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url)
        publisher.send(messages("a", "b"))
        batch = one.take()
        for delivery in batch:
            delivery.ack()

        proxy.swallow(b":claim:")
        with pytest.raises(UnavailableError):
            one.flush(batch)
        one.listener.open()
        one.listener._pipeline.exchange([])

        assert one.take(seconds=0.6).payloads == []
        assert one.counts.late == 0
        assert leftovers(client) == []
