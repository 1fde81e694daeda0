"""One publisher shared by threads: round trips are shared, replies and errors are not."""

import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
import redis
from messages import parsed

from lab.proxy import Proxy
from lab.server import Server
from townpost import keys
from townpost.errors import FullError, SettingError, TownpostError, UnavailableError, UnsendableError
from townpost.message import Message
from townpost.publishing.publisher import Publisher
from townpost.receipts import Receipt
from townpost.redis.refusals import refusal
from townpost.settings import Settings

Q = "message_queue"


def publisher(server: Server, pattern: str = "queue", **settings: object) -> Publisher:
    return Publisher(settings=Settings.read(redis_url=server.url, pattern=pattern, **settings))


def test_what_is_reported_is_what_is_stored(server: Server, client: redis.Redis) -> None:
    # Given forty threads with one publisher
    with publisher(server) as shared, ThreadPoolExecutor(40) as pool:
        # When they send four hundred messages, each for itself
        receipts = list(pool.map(lambda n: shared.send([Message.create(str(n))]), range(400)))

    # Then each has its own receipt, and each message is there once
    assert [receipt.sent for (receipt,) in receipts] == [1] * 400
    assert sorted(int(parsed(raw).message) for raw in client.lrange(Q, 0, -1)) == list(range(400))
    assert shared.counts["queue"].sent == 400


def test_who_sends_at_the_same_moment_shares_a_round_trip(server: Server) -> None:
    with publisher(server) as shared, ThreadPoolExecutor(20) as pool:
        send = Mock(wraps=shared._read().rounds._connection.send)
        shared._read().rounds._connection.send = send  # type: ignore[method-assign]  # the fault, put where the method was

        # Given one that holds the connection while twenty others want to send
        with shared._read().rounds.lock:
            waiting = [pool.submit(shared.send, [Message.create("x")]) for _ in range(20)]
            while len(shared._read().rounds._queued) < 20:
                pass
        for each in waiting:
            each.result()

        assert send.call_count == 1


def test_one_refused_message_fails_nobody_else(server: Server) -> None:
    # Given a queue with room for ten, and twenty threads that send one or fifty
    with publisher(server, "reliable", reliable_limit=10) as shared, ThreadPoolExecutor(20) as pool:
        shared.send([Message.create("first")])

        def send(count: int) -> int:
            try:
                (receipt,) = shared.send([Message.create("x") for _ in range(count)])
            except FullError:
                return 0
            return receipt.sent

        sent = list(pool.map(send, [50, 1] * 9))

    assert sent == [0, 1] * 9


def test_threads_with_different_wishes_do_not_meet(server: Server, client: redis.Redis) -> None:
    with publisher(server, "queue,reliable") as shared, ThreadPoolExecutor(12) as pool:
        futures = []
        for n in range(60):
            futures += [
                pool.submit(shared.send, [Message.create(f"{n}")]),
                pool.submit(shared.send, [Message.create(f"{n}")], on=["queue"]),
                pool.submit(shared.send, [Message.create(f"{n}")], on=["reliable"], delay=60),
                pool.submit(shared.send, [Message.create("x" * 2_000_000)]),
            ]
        outcomes = [_outcome(future.result) for future in futures]  # type: ignore[arg-type]  # mypy does not know the futures' type

    assert outcomes == [("queue", "reliable"), ("queue",), ("reliable",), UnsendableError] * 60
    assert client.llen(Q) == 120
    assert client.llen("reliable_queue") == 60
    assert client.zcard(keys.of("reliable_queue").scheduled) == 60


def _outcome(result: "type[list[Receipt]]") -> object:
    try:
        return tuple(receipt.pattern for receipt in result())
    except TownpostError as error:
        return type(error)


def test_when_the_connection_breaks_nobody_is_told_a_lie(server: Server, client: redis.Redis) -> None:
    # Given eight threads that send through a connection that breaks now and then
    with Proxy(server.port) as proxy:
        shared = Publisher(settings=Settings.read(redis_url=proxy.url, pattern="queue"))
        done = threading.Event()
        reported: list[str] = []

        def work(thread: int) -> None:
            number = 0
            while not done.is_set():
                number += 1
                text = f"{thread}-{number}"
                try:
                    shared.send([Message.create(text)])
                except UnavailableError:
                    continue
                reported.append(text)

        with ThreadPoolExecutor(8) as pool:
            for thread in range(8):
                pool.submit(work, thread)
            for cuts in range(1, 6):
                while len(reported) < cuts * 100:
                    pass
                proxy.reset_peer()
            done.set()
        shared.close()

    # Then what was reported as sent is there
    stored = [parsed(raw).message for raw in client.lrange(Q, 0, -1)]
    assert set(reported) <= set(stored)
    assert len(stored) == len(set(stored))


@pytest.mark.parametrize("pattern", ["queue", "queue,reliable"])
def test_a_connection_that_redis_closed_while_it_was_idle_is_replaced(
    server: Server, client: redis.Redis, pattern: str
) -> None:
    with publisher(server, pattern) as idle:
        idle.send([Message.create("before")])
        client.client_kill_filter(_id=str(idle._read().rounds._connection.client_id))
        while any(int(one["id"]) == idle._read().rounds._connection.client_id for one in client.client_list()):
            pass

        receipts = idle.send([Message.create("after")])

    assert len(receipts) == len(pattern.split(","))
    assert client.llen(Q) == 2


@pytest.mark.parametrize("on", [["qeue"], ["queue", "qeue"], "queue", []])
def test_an_unknown_pattern_is_named_with_the_choices(server: Server, client: redis.Redis, on: list[str]) -> None:
    with publisher(server, "both") as both, pytest.raises(SettingError, match="choose from pubsub, queue"):
        both.send([Message.create("x")], on=on)

    assert client.llen(Q) == 0


def test_too_few_replicas_pass_by() -> None:
    assert isinstance(refusal("NOREPLICAS Not enough good replicas to write."), UnavailableError)


def test_messages_without_a_number_are_numbered_by_the_publisher(server: Server, client: redis.Redis) -> None:
    with publisher(server) as numbering:
        numbering.send([Message.create("a"), Message.create("b", sender="other"), Message.create("c")])
        numbering.send([Message.create("d"), Message.create("given", count=7, epoch="mine")])

    stored = [parsed(raw) for raw in client.lrange(Q, 0, -1)]
    assert [message.count for message in stored] == [1, 1, 2, 3, 7]
    epochs = [message.epoch for message in stored]
    assert epochs[0] == epochs[2] == epochs[3] != epochs[1]
    assert epochs[4] == "mine"
    assert None not in epochs


def test_what_its_maker_has_numbered_stays_as_it_is(server: Server, client: redis.Redis) -> None:
    message = Message.create("x", count=5)
    written = message.encode()
    with publisher(server) as numbering:
        numbering.send([message])

    assert client.lrange(Q, 0, -1) == [written]


def test_sent_again_it_is_the_same_message(server: Server, client: redis.Redis) -> None:
    # Given a send whose outcome is unknown
    messages = [Message.create("a"), Message.create("b")]
    with Proxy(server.port) as proxy:
        numbering = Publisher(settings=Settings.read(redis_url=proxy.url, pattern="queue"))
        numbering.open()
        proxy.swallow(b"RPUSH")
        with pytest.raises(UnavailableError):
            numbering.send(messages)
        numbering.send([Message.create("c")])

        # When it is sent again
        numbering.send(messages)
        numbering.close()

    # Then it has the ids and the numbers it had
    stored = [parsed(raw) for raw in client.lrange(Q, 0, -1)]
    numbers = {(message.message, message.id, message.count, message.epoch) for message in stored}
    assert len(numbers) == 3
    assert {(message.message, message.count) for message in stored} == {("a", 1), ("b", 2), ("c", 3)}


def test_threads_number_in_the_order_in_which_they_send(server: Server, client: redis.Redis) -> None:
    with publisher(server) as numbering, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: numbering.send([Message.create(str(n))]), range(300)))

    assert [parsed(raw).count for raw in client.lrange(Q, 0, -1)] == list(range(1, 301))


def test_patterns_that_do_not_get_every_message_have_numbers_of_their_own(server: Server, client: redis.Redis) -> None:
    with publisher(server, "queue,reliable") as numbering:
        numbering.send([Message.create("both")])
        numbering.send([Message.create("one")], on=["queue"])
        numbering.send([Message.create("both again")])

    stored = [parsed(raw) for raw in client.lrange("reliable_queue", 0, -1)]
    assert [message.count for message in stored] == [1, 2]
