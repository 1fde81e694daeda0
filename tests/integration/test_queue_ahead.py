"""While a fast handler works off a backlog, the next batch is on its way: nothing of it is lost at a clean stop."""

from collections.abc import Iterator

import pytest
import redis
from messages import wire

from lab.proxy import Proxy
from lab.server import Server
from townpost.counts import Counts
from townpost.errors import RefusedError, UnavailableError
from townpost.patterns import queue
from townpost.patterns.queue import QueueListener
from townpost.redis.connection import Connection
from townpost.settings import Settings

Q = "message_queue"


def listen(url: str) -> QueueListener:
    listener = QueueListener(Settings.read(redis_url=url), Connection(url), Counts())
    listener.open()
    return listener


@pytest.fixture
def listener(server: Server) -> Iterator[QueueListener]:
    listener = listen(server.url)
    yield listener
    listener.close()


def fill(client: redis.Redis, count: int) -> list[bytes]:
    sent = [wire(f"m{n}", count=n + 1) for n in range(count)]
    client.rpush(Q, *sent)
    return sent


def test_the_next_batch_is_asked_for_before_this_one_is_handed_out(
    listener: QueueListener, client: redis.Redis
) -> None:
    sent = fill(client, 601)
    assert list(listener.take(250).payloads) == sent[:1]  # whether there is a backlog, the first one tells

    batch = listener.take(250)

    assert list(batch.payloads) == sent[1:251]
    assert client.llen(Q) == 100
    assert list(listener.take(250).payloads) == sent[251:501]
    assert list(listener.take(250).payloads) == sent[501:]


def test_a_slow_handler_has_nothing_but_its_batch(listener: QueueListener, client: redis.Redis) -> None:
    fill(client, 101)
    listener.take(10)

    listener.take(10)

    assert client.llen(Q) == 90


def test_what_is_not_begun_at_a_stop_goes_back_in_its_order(listener: QueueListener, client: redis.Redis) -> None:
    sent = fill(client, 601)
    listener.take(250)
    batch = listener.take(250)
    deliveries = iter(batch)
    for _ in range(10):
        next(deliveries)

    listener.settle(batch)

    assert client.lrange(Q, 0, -1) == sent[11:]


def test_what_was_on_its_way_at_the_end_goes_back(server: Server, client: redis.Redis) -> None:
    sent = fill(client, 601)
    listener = listen(server.url)
    listener.take(250)
    listener.take(250)

    listener.close()

    assert client.lrange(Q, 0, -1) == sent[251:]


def _take_until_it_breaks(listener: QueueListener) -> None:
    for _ in range(3):  # a reply may have come before the reset
        listener.take(250)


def test_after_a_broken_link_no_reply_is_taken_for_another(server: Server, client: redis.Redis) -> None:
    with Proxy(server.port) as proxy:
        sent = fill(client, 1001)
        listener = listen(proxy.url)
        listener.take(250)
        listener.take(250)
        while client.llen(Q) != 500:
            pass

        proxy.reset_peer()
        with pytest.raises(UnavailableError):
            _take_until_it_breaks(listener)
        listener.open()

        assert list(listener.take(250).payloads) == sent[501:502]
        assert list(listener.take(250).payloads) == sent[502:752]
        listener.close()


def test_a_queue_that_runs_dry_with_a_request_on_its_way_is_waited_for(
    listener: QueueListener, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_BLOCK_SECONDS", 0.05)
    fill(client, 251)
    listener.take(250)
    listener.take(250)

    assert len(listener.take(250)) == 0
    (late,) = fill(client, 1)
    assert list(listener.take(250).payloads) == [late]


def ahead(listener: QueueListener, client: redis.Redis) -> None:
    """The listener has taken a batch, and has asked for the next one."""
    fill(client, 601)
    listener.take(250)
    listener.take(250)
    assert client.llen(Q) == 100


def cut(client: redis.Redis) -> None:
    for one in client.client_list():
        if one["name"] == "townpost-ahead":
            client.client_kill_filter(_id=one["id"])


@pytest.fixture
def named(server: Server) -> Iterator[QueueListener]:
    listener = QueueListener(
        Settings.read(redis_url=server.url), Connection(server.url, name="townpost-ahead"), Counts()
    )
    listener.open()
    yield listener
    listener.close()


def test_a_next_batch_that_redis_refuses_is_an_error(listener: QueueListener, client: redis.Redis) -> None:
    # Given a next batch that was taken, and one after it, asked for when the key was no list any more
    ahead(listener, client)
    client.delete(Q)
    client.set(Q, "no list")
    listener.take(250)

    with pytest.raises(RefusedError, match="another type of value"):
        listener.take(250)


def test_a_connection_that_breaks_while_a_batch_is_on_its_way_is_opened_anew(
    named: QueueListener, client: redis.Redis
) -> None:
    ahead(named, client)
    named._connection.wait(1.0)
    cut(client)
    named._connection.close()

    with pytest.raises(UnavailableError):
        named.take(250)

    named.open()
    assert len(named.take(250).payloads) == 1


def test_a_batch_that_cannot_be_given_back_at_the_end_is_told(
    named: QueueListener, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ahead(named, client)
    cut(client)

    named.close()

    assert "that were on their way could not be given back" in caplog.text
