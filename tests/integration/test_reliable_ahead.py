"""While a fast handler works off a backlog, its next claim is on its way: leased, never lost, never blamed."""

import math
import time
from collections.abc import Iterator, Sequence

import pytest
import redis
from messages import wire
from reliable_driver import Q, leftovers

from lab.proxy import Proxy
from lab.server import Server
from townpost import keys
from townpost.counts import Counts
from townpost.errors import UnavailableError
from townpost.patterns.contract import Batch
from townpost.patterns.reliable.listener import ReliableListener
from townpost.redis.connection import Command, Connection
from townpost.settings import Settings

LIMIT = 100


def listen(url: str, **settings: object) -> ReliableListener:
    chosen = Settings.read(redis_url=url, lease_seconds=0.4, **settings)
    listener = ReliableListener(chosen, Connection(url), Counts())
    listener.open()
    return listener


@pytest.fixture
def listener(server: Server) -> Iterator[ReliableListener]:
    listener = listen(server.url)
    yield listener
    listener.close()


def fill(client: redis.Redis, count: int) -> list[bytes]:
    sent = [wire(f"m{n}", count=n + 1) for n in range(count)]
    client.rpush(Q, *sent)
    return sent


def handle(listener: ReliableListener, batch: Batch, count: int | None = None) -> None:
    for delivery, _ in zip(batch, range(len(batch) if count is None else count), strict=False):
        delivery.ack()
    listener.settle(batch)


def until_left(client: redis.Redis, count: int) -> None:
    deadline = time.monotonic() + 5
    while client.llen(Q) != count:
        assert time.monotonic() < deadline


def die(listener: ReliableListener) -> None:
    """Nothing renews what a dead process held."""
    listener._renewer.close()
    listener._connection.close()


def test_the_next_claim_is_asked_for_before_this_one_is_handed_out(
    listener: ReliableListener, client: redis.Redis
) -> None:
    sent = fill(client, 250)

    batch = listener.take(LIMIT)
    until_left(client, 50)  # with nothing more asked of the listener

    assert list(batch.payloads) == sent[:100]
    assert client.zcard(keys.of(Q).leases) == 2


def test_a_backlog_is_worked_off_in_order_and_leaves_nothing(server: Server, client: redis.Redis) -> None:
    sent = fill(client, 950)
    listener = listen(server.url)
    seen: list[bytes] = []

    while len(seen) < len(sent):
        batch = listener.take(LIMIT)
        seen += batch.payloads
        handle(listener, batch)
    listener.close()

    assert seen == sent
    assert leftovers(client) == []


@pytest.mark.parametrize(("limit", "settings"), [(99, {}), (LIMIT, {"prefetch": "100"}), (LIMIT, {"once_seconds": 5})])
def test_who_is_slow_or_pinned_or_asks_about_ids_has_one_batch_in_flight(
    server: Server, client: redis.Redis, limit: int, settings: dict[str, object]
) -> None:
    fill(client, 250)
    listener = listen(server.url, **settings)

    listener.take(limit)
    listener.close()

    assert client.llen(Q) == 250 - limit


def test_a_stop_gives_back_what_was_not_begun_in_its_order(server: Server, client: redis.Redis) -> None:
    sent = fill(client, 250)
    listener = listen(server.url)
    batch = listener.take(LIMIT)

    handle(listener, batch, 10)
    listener.close()

    assert client.lrange(Q, 0, -1) == sent[10:]
    assert leftovers(client) == [Q.encode()]


def test_what_a_batch_gives_back_comes_before_the_claim_ahead_of_it(server: Server, client: redis.Redis) -> None:
    # Given a batch that overran, as its own consumer notices before its renewer does
    sent = fill(client, 250)
    listener = listen(server.url)
    batch = listener.take(LIMIT)
    until_left(client, 50)
    handle(listener, batch, 10)

    # When it goes on
    taken: list[bytes] = []
    while len(taken) < 240:
        batch = listener.take(LIMIT)
        taken += batch.payloads
        handle(listener, batch)
    listener.close()

    # Then nothing has overtaken what went back
    assert taken == sent[10:]
    assert leftovers(client) == []


def test_the_claim_ahead_is_kept_while_the_batch_before_it_gets_on(
    listener: ReliableListener, client: redis.Redis
) -> None:
    sent = fill(client, 250)
    batch = listener.take(LIMIT)
    until_left(client, 50)
    (ahead,) = [
        name for name in client.zrange(keys.of(Q).leases, 0, -1) if isinstance(name, bytes) and b":ahead" in name
    ]
    batch.overrun_at = math.inf  # type: ignore[attr-defined]  # however long this test takes
    deadline = client.zscore(keys.of(Q).leases, ahead)
    assert deadline is not None

    while client.time()[0] * 1000 <= deadline + 1000:  # it would have run out by now
        next(iter(batch)).ack() if batch.unstarted else None

    assert client.zscore(keys.of(Q).leases, ahead) is not None
    handle(listener, batch)
    assert list(listener.take(LIMIT).payloads) == sent[100:200]


def test_a_single_message_claimed_ahead_is_not_blamed_for_the_crash(server: Server, client: redis.Redis) -> None:
    fill(client, 101)
    one = listen(server.url, max_crashes=1)
    one.take(LIMIT)
    until_left(client, 0)
    die(one)
    other = listen(server.url, max_crashes=1)

    handled = 0
    while handled < 101:
        batch = other.take(LIMIT)
        handled += len(batch)
        handle(other, batch)
    other.close()

    assert leftovers(client) == []  # no dead letters among them


def test_suspects_are_never_claimed_ahead(listener: ReliableListener, client: redis.Redis) -> None:
    # Given a batch at work, a suspect, and a claim ahead that was made before there was one
    fill(client, 200)
    full = listener.take(LIMIT)
    until_left(client, 0)
    client.rpush(keys.of(Q).suspects, wire("suspect"))
    handle(listener, full)
    second = listener.take(LIMIT)
    assert len(second) == LIMIT

    # When the next claim ahead is asked for, then it stays empty, and the suspect comes with nothing else in flight
    handle(listener, second)
    more: Batch = listener.take(LIMIT)
    while not len(more):
        more = listener.take(LIMIT)
    assert [delivery.message and delivery.message.message for delivery in more] == ["suspect"]
    assert listener._state is None
    handle(listener, more)


def test_a_lost_reply_to_a_claim_on_its_way_loses_nothing(server: Server, client: redis.Redis) -> None:
    sent = fill(client, 250)
    with Proxy(server.port) as proxy:
        listener = listen(proxy.url)
        proxy.swallow(b":ahead")
        batch = listener.take(LIMIT)
        until_left(client, 50)
        handle(listener, batch)

        with pytest.raises(UnavailableError):
            listener.take(LIMIT)
        listener.open()
        seen = list(batch.payloads)
        while len(seen) < len(sent):
            batch = listener.take(LIMIT)
            seen += batch.payloads
            handle(listener, batch)
        listener.close()

    assert proxy.swallowed == 1
    assert seen == sent
    assert leftovers(client) == []


def test_a_claim_ahead_that_a_renewal_overtakes_is_not_dropped(
    listener: ReliableListener, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given claims that are asked for ahead, each with a renewal that reaches Redis before it
    sent = fill(client, 250)
    ask = listener._pipeline.ask

    def ask_late(commands: Sequence[Command], block: float = 0.0) -> None:
        listener._renewer._renew(time.monotonic())
        ask(commands, block)

    monkeypatch.setattr(listener._pipeline, "ask", ask_late)

    taken: list[bytes] = []
    while len(taken) < 250:
        batch = listener.take(LIMIT)
        taken += batch.payloads
        handle(listener, batch)

    assert taken == sent
    assert listener._counts.recovered == 0
