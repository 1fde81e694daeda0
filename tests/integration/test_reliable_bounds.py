"""Whatever lies in a reliable queue: no script holds up the server for long, and no claim takes more than its share."""

from collections.abc import Callable, Iterator, Sequence

import driver
import pytest
import redis
from messages import wire
from reliable_driver import Consumer, MakeConsumer, Q, leftovers

from lab.server import Server
from townpost import keys
from townpost.counts import Counts
from townpost.patterns.contract import Batch
from townpost.patterns.reliable import recovery
from townpost.patterns.reliable.bounds import SCRIPT_BYTES
from townpost.patterns.reliable.claims import Claim

MIB = 1024 * 1024
LONG = wire("x" * (MIB - 1000))
MILLISECONDS = 50
ATTEMPTS = 3
"""The machine may be busy with something else; the least of so many worst runs counts."""


@pytest.fixture
def client(own_server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=own_server.port) as client:
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", 2000)
        yield client


@pytest.fixture
def consumer(own_server: Server) -> Iterator[MakeConsumer]:
    with driver.making(Consumer, own_server) as make:
        yield make


def slowest(client: redis.Redis) -> float:
    """Milliseconds of the longest script since the last reset."""
    entries = client.slowlog_get(2000)
    return max((one["duration"] for one in entries if one["command"].upper().startswith(b"EVAL")), default=0) / 1000


def numbered(count: int, payload: bytes = LONG) -> list[bytes]:
    return [payload.replace(b"hi", b"") + b" " * number for number in range(count)]


def stamp(number: int) -> bytes:
    return b"%020d" % number


def in_list(client: redis.Redis, payloads: Sequence[bytes]) -> None:
    client.rpush(Q, wire("small"))
    for payload in payloads:
        client.rpush(Q, payload)


def in_priority(client: redis.Redis, payloads: Sequence[bytes]) -> None:
    for number, payload in enumerate(payloads):
        client.zadd(keys.of(Q).priority, {stamp(number) + b"9" + payload: number})


def due(client: redis.Redis, payloads: Sequence[bytes]) -> None:
    for number, payload in enumerate(payloads):
        client.zadd(keys.of(Q).scheduled, {stamp(number) + b"09"[number % 2 : number % 2 + 1] + payload: number + 1})


def in_suspects(client: redis.Redis, payloads: Sequence[bytes]) -> None:
    for payload in payloads:
        client.rpush(keys.of(Q).suspects, payload)


def in_handoff(client: redis.Redis, payloads: Sequence[bytes]) -> None:
    for payload in payloads:
        client.rpush(keys.of(Q).handoff, payload)
    client.zadd(keys.of(Q).leases, {keys.of(Q).handoff: 1.5})


def in_an_expired_claim(client: redis.Redis, payloads: Sequence[bytes]) -> None:
    claim = keys.of(Q).claim("gone", 1)
    client.zadd(keys.of(Q).leases, {claim: 1.5})
    for payload in payloads:
        client.rpush(claim, payload)


PLACES = [in_list, in_priority, due, in_suspects, in_handoff, in_an_expired_claim]


def least_of_the_worst(client: redis.Redis, run: Callable[[], None]) -> float:
    found = []
    for _ in range(ATTEMPTS):
        client.slowlog_reset()
        run()
        found.append(slowest(client))
        if found[-1] < MILLISECONDS:
            break
        client.flushall()
    return min(found)


@pytest.mark.alone
@pytest.mark.parametrize("place", PLACES)
def test_large_messages_hold_up_the_server_for_less_than_50_ms(
    consumer: MakeConsumer, client: redis.Redis, place: Callable[[redis.Redis, Sequence[bytes]], None]
) -> None:
    sizes: list[int] = []

    def drain() -> None:
        place(client, numbered(60))
        one = consumer(lease_seconds=30)
        handled = 0
        while handled < 60:
            batch = one.take(seconds=10)
            sizes.append(sum(map(len, batch.payloads)))
            handled += len(batch)
            for delivery in batch:
                delivery.ack()
            one.flush(batch)
        one.listener.close()

    assert least_of_the_worst(client, drain) < MILLISECONDS
    assert max(sizes) <= SCRIPT_BYTES + MIB


@pytest.mark.alone
def test_a_claim_of_large_messages_is_split_in_less_than_50_ms(consumer: MakeConsumer, client: redis.Redis) -> None:
    def split() -> None:
        in_list(client, numbered(40))
        one = consumer(lease_seconds=30)
        batch = claimed(one)
        one.listener._renewer._upkeep.split(one.listener._connection, batch, 1, [])
        assert client.llen(batch.name) == 1
        assert client.llen(Q) == 40
        next(iter(batch)).ack()
        one.flush(batch)

    assert least_of_the_worst(client, split) < MILLISECONDS


def fail_all(batch: Batch) -> None:
    for delivery in batch:
        delivery.fail(ValueError("no" * 600))


def leave_all(_: Batch) -> None:
    pass


@pytest.mark.alone
@pytest.mark.parametrize("attempts", [1, 5])
@pytest.mark.parametrize("end", [fail_all, leave_all])
def test_a_claim_of_large_messages_ends_in_less_than_50_ms(
    consumer: MakeConsumer, client: redis.Redis, attempts: int, end: Callable[[Batch], None]
) -> None:
    def settle() -> None:
        in_list(client, numbered(40))
        one = consumer(lease_seconds=30, max_attempts=attempts, backoff_seconds=100)
        batch = claimed(one)
        end(batch)
        one.flush(batch)
        assert client.exists(batch.name) == 0

    assert least_of_the_worst(client, settle) < MILLISECONDS


def claimed(one: Consumer) -> Claim:
    batch = one.take()
    assert isinstance(batch, Claim)
    return batch


SMALL = 100_000


@pytest.mark.alone
@pytest.mark.parametrize("place", [in_handoff, in_an_expired_claim])
def test_many_small_messages_are_recovered_a_part_at_a_time(
    consumer: MakeConsumer, client: redis.Redis, place: Callable[[redis.Redis, Sequence[bytes]], None]
) -> None:
    # Given more of them than a script may move in 50 ms, or Lua can unpack
    lease = recovery.Recovery(keys.of(Q), Counts(), lease=30, max_crashes=5, by="a test")
    text = wire("small")
    name = keys.of(Q).handoff if place is in_handoff else keys.of(Q).claim("gone", 1)
    rest = f"{name}:rest"

    def recover() -> None:
        place(client, [text])
        for _ in range(SMALL // 1000):
            client.rpush(name, *[text] * 1000)
        one = consumer()
        for _ in range(100):
            if not client.exists(name, rest):
                break
            lease.take_over(one.listener._connection, [name.encode(), rest.encode()])
        # Then none of them is stranded, and none is there twice
        assert client.exists(name, rest) == 0
        assert client.llen(Q) + client.llen(keys.of(Q).suspects) == SMALL + 1
        assert client.zcard(keys.of(Q).leases) == 0

    assert least_of_the_worst(client, recover) < MILLISECONDS


@pytest.mark.parametrize("count", [501, 9_000])
def test_a_claim_of_very_many_can_be_given_back_split_and_recovered(
    consumer: MakeConsumer, client: redis.Redis, count: int
) -> None:
    # Given a claim of more messages than Lua unpacks
    payloads = [wire(str(number)) for number in range(count)]
    client.rpush(Q, *payloads)
    one = consumer(prefetch=str(count), lease_seconds=30)

    # When it is given back
    batch = one.take(count)
    assert len(batch) == count
    one.flush(batch)

    # Then all of it is there again, in order
    assert client.lrange(Q, 0, -1) == payloads

    # When it is split
    again = one.take(count)
    assert isinstance(again, Claim)
    one.listener._renewer._upkeep.split(one.listener._connection, again, 1, [])

    # Then so is all but what was begun
    assert client.lrange(Q, 0, -1) == payloads[1:]
    one.flush(again)
    assert client.lrange(Q, 0, -1) == payloads

    # When its consumer dies
    last = one.take(count)
    assert isinstance(last, Claim)
    one.listener._renewer.release(last.name)
    client.zadd(keys.of(Q).leases, {last.name: 1.5})
    while client.zcard(keys.of(Q).leases):
        one.listener._recovery.take_over(one.listener._connection, [last.name.encode()])

    # Then all of it is suspect, and can be handled
    assert client.lrange(keys.of(Q).suspects, 0, -1) == payloads


def test_what_is_due_and_large_is_promoted_a_part_at_a_time(consumer: MakeConsumer, client: redis.Redis) -> None:
    due(client, numbered(40))
    one = consumer(lease_seconds=30)

    texts: list[str] = []
    while len(texts) < 40:  # and no more: nothing is left
        heard = one.handle()
        assert heard
        texts += heard

    assert leftovers(client) == []
