"""A stream's listener goes on after lost replies, forgotten scripts and vanished groups."""

import threading

import pytest
import redis
import stream_driver
from driver import messages
from stream_driver import GROUP, MakeConsumer, S, pending, text_of

from lab.proxy import Proxy
from lab.server import Server
from townpost.errors import UnavailableError
from townpost.patterns.dead_letters import DeadLetters
from townpost.publishing.publisher import Publisher

consumer = stream_driver.consumer
publisher = stream_driver.publisher
dead = stream_driver.dead


def test_a_lost_reply_to_a_read_loses_nothing(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url)
        publisher.send(messages("a", "b"))

        proxy.swallow(b"XREADGROUP")
        with pytest.raises(UnavailableError):
            one.take()
        one.listener.open()

        assert [one.handle(), one.handle()] == [["a"], ["b"]]
        assert proxy.swallowed == 1
        assert pending(client) == 0


def test_a_lost_reply_to_a_take_over_loses_nothing(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("a"))
    died = consumer()
    died.die()
    died.take()
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url)

        proxy.swallow(b"XRANGE")
        with pytest.raises(UnavailableError):
            one.take()
        one.listener.open()

        assert one.handle() == ["a"]
        assert proxy.swallowed == 1
        assert pending(client) == 0


def test_a_lost_reply_to_an_acknowledgement_neither_loses_nor_repeats(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    with Proxy(server.port) as proxy:
        # Given an acknowledgement that travels with the next read
        one = consumer(proxy.url)
        publisher.send(messages("a", "b"))
        batch = one.take()
        for delivery in batch:
            delivery.ack()
        one.listener.settle(batch)
        publisher.send(messages("c"))

        proxy.swallow(b"XACK")
        with pytest.raises(UnavailableError):
            one.take()
        one.listener.open()

        assert one.handle() == ["c"]
        assert proxy.swallowed == 1
        assert one.counts.late == 0
        assert pending(client) == 0


def test_a_lost_reply_to_a_settlement_makes_one_dead_letter(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    with Proxy(server.port) as proxy:
        one = consumer(proxy.url, max_attempts=1)
        publisher.send(messages("bad", "good"))
        bad, good = (batch := one.take())
        bad.fail(ValueError())
        good.ack()

        proxy.swallow(b"EVALSHA")
        with pytest.raises(UnavailableError):
            one.flush(batch)
        one.listener.open()
        one.listener._pipeline.exchange([])

        assert [text_of(dead_letter) for dead_letter in dead.all()] == ["bad"]
        assert one.counts.late == 0
        assert pending(client) == 0


@pytest.mark.parametrize("what", ["group", "stream"])
@pytest.mark.parametrize("waiting", [True, False], ids=["while it waits", "between two reads"])
def test_a_group_that_vanishes_is_made_again(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, what: str, *, waiting: bool
) -> None:
    publisher.send(messages("before"))
    one = consumer()
    assert one.handle() == ["before"]

    def vanish() -> None:
        if what == "group":
            client.xgroup_destroy(S, GROUP)
        else:
            client.delete(S)

    vanishing = threading.Timer(0.05 if waiting else 0, vanish)
    vanishing.start()
    if not waiting:
        vanishing.join()
    with pytest.raises(UnavailableError):
        one.take()
    vanishing.join()
    one.listener.open()
    publisher.send(messages("after"))

    assert one.handle() == (["before", "after"] if what == "group" else ["after"])


def test_forgotten_scripts_are_loaded_again(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    publisher.send(messages("bad"))
    one = consumer(max_attempts=1)
    for delivery in (batch := one.take()):
        delivery.fail(ValueError())
    client.script_flush()

    with pytest.raises(UnavailableError):
        one.flush(batch)
    one.listener.open()
    one.listener._pipeline.exchange([])

    assert [text_of(dead_letter) for dead_letter in dead.all()] == ["bad"]
