"""What reading a stream costs in commands, how a wait ends, and that a full Redis is drained."""

import threading
import time
from unittest.mock import Mock

import pytest
import redis
import stream_driver
from driver import messages
from stream_driver import MakeConsumer, pending

from lab.server import Server
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings

unhurried = stream_driver.unhurried
consumer = stream_driver.consumer
publisher = stream_driver.publisher


def calls(client: redis.Redis) -> dict[str, int]:
    """How often each command was called since CONFIG RESETSTAT."""
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}


def test_a_batch_is_one_round_trip(
    unhurried: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.send(messages(*[str(n) for n in range(1000)]))
    one = unhurried(lease_seconds=30)
    batch = one.take(100)
    one.listener._look.at = time.monotonic() + 60
    send = Mock(wraps=one.listener._connection.send)
    monkeypatch.setattr(one.listener._connection, "send", send)
    client.config_resetstat()

    for _ in range(9):
        for delivery in batch:
            delivery.ack()
        one.listener.settle(batch)
        batch = one.take(100)

    # then each of nine batches cost one acknowledgement and one read, in one write
    stats = calls(client)
    assert {name: stats[name] for name in stats if name.startswith(("x", "eval"))} == {"xack": 9, "xreadgroup": 9}
    assert send.call_count == 9


def test_an_idle_consumer_asks_for_little(unhurried: MakeConsumer, client: redis.Redis) -> None:
    one = unhurried(lease_seconds=30)
    client.config_resetstat()

    one.take(seconds=5.5)

    # then what it asked for are reads and looks; the other commands are those of the scripts
    asked = calls(client)
    assert 0 < asked["xreadgroup"] + asked["evalsha"] <= 9


@pytest.mark.alone
def test_a_wait_is_ended_from_outside(server: Server, unhurried: MakeConsumer, publisher: Publisher) -> None:
    one = unhurried()
    control = Connection(server.url)
    control.connect()
    ending = threading.Timer(0.1, one.listener.interrupt, [control])
    ending.start()
    started = time.monotonic()

    assert len(one.listener.take(10)) == 0

    assert time.monotonic() - started < 0.8
    ending.join()
    control.close()
    publisher.send(messages("a"))
    assert one.handle() == ["a"]


def test_draining_works_when_redis_is_full(own_server: Server, consumer: MakeConsumer) -> None:
    with Publisher(settings=Settings.read(redis_url=own_server.url, pattern="stream")) as publisher:
        publisher.send(messages(*[f"m{n}" for n in range(100)]))
    one = consumer(own_server.url)
    with redis.Redis(port=own_server.port) as client:
        client.config_set("maxmemory", "1")

        first, *others = (batch := one.take(16))
        first.fail(ValueError())
        for delivery in others:
            delivery.ack()
        one.flush(batch)

        assert sorted(one.drain()) == sorted(["m0", *[f"m{n}" for n in range(16, 100)]])
        assert pending(client) == 0
