"""The hostile hand reaches every key that is ours, adds to it, and destroys nothing that holds a message."""

import random
from collections.abc import Iterator
from dataclasses import fields

import pytest
import redis

from lab.server import Server
from lab.trials.hostile import HostileHand, owned
from lab.trials.subjects import SUBJECTS
from townpost import keys

QUEUE = SUBJECTS["reliable"].key


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(appendfsync=None) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    client = redis.Redis(port=server.port)
    client.flushall()
    yield client
    client.close()


def hand(client: redis.Redis, subject: str = "reliable") -> HostileHand:
    return HostileHand(client, SUBJECTS[subject], random.Random(1))


def test_every_key_beside_a_queue_is_known_with_its_type() -> None:
    named = {field.name: getattr(keys.of(QUEUE), field.name) for field in fields(keys.of(QUEUE))}
    del named["queue"], named["claims"]  # the list itself, and how names begin

    found = owned(QUEUE)

    assert set(named.values()) < set(found)
    assert found[keys.of(QUEUE).leases] == "zset"
    assert found[keys.of(QUEUE).handoff] == "list"
    assert found[keys.of(QUEUE).attempts] == "hash"
    assert found[keys.of(QUEUE).dead] == "stream"
    assert found[keys.instances()] == "zset"


def test_after_one_round_something_foreign_lies_under_every_key(client: redis.Redis) -> None:
    hand(client).add()

    assert [name for name, kind in owned(QUEUE).items() if client.type(name) != kind.encode()] == []
    assert client.llen(QUEUE) == 1


@pytest.mark.parametrize("seed", range(5))
def test_what_lies_under_a_key_stays_there(client: redis.Redis, seed: int) -> None:
    client.rpush(QUEUE, b"a message")
    client.rpush(keys.of(QUEUE).suspects, b"another")
    client.zadd(keys.of(QUEUE).scheduled, {b"0" * 21 + b"a third": 5e15})
    hostile = HostileHand(client, SUBJECTS["reliable"], random.Random(seed))

    for _ in range(10):
        hostile.add()
        hostile.usurp()
        hostile.withdraw()

    assert client.lindex(QUEUE, 0) == b"a message"
    assert client.lindex(keys.of(QUEUE).suspects, 0) == b"another"
    assert client.zscore(keys.of(QUEUE).scheduled, b"0" * 21 + b"a third") == 5e15


def test_only_what_did_not_exist_gets_a_wrong_type_and_is_taken_away_again(client: redis.Redis) -> None:
    client.zadd(keys.of(QUEUE).leases, {b"claim": 1})
    hostile = hand(client)

    hostile.usurp()

    wrong = {name for name, kind in owned(QUEUE).items() if client.type(name) != kind.encode()}
    assert wrong == owned(QUEUE).keys() - {keys.of(QUEUE).leases}

    hostile.withdraw()

    assert client.keys() == [keys.of(QUEUE).leases.encode()]


def test_what_was_made_in_the_right_type_meanwhile_is_not_taken_away(client: redis.Redis) -> None:
    hostile = hand(client)
    hostile.usurp()
    client.delete(keys.of(QUEUE).suspects)
    client.rpush(keys.of(QUEUE).suspects, b"a message")

    hostile.withdraw()

    assert client.lrange(keys.of(QUEUE).suspects, 0, -1) == [b"a message"]
