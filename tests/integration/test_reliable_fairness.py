"""No consumer takes what another could begin at once, and no kind of message keeps all others waiting."""

import threading
import time
from collections import Counter

import pytest
import redis
import reliable_driver
from driver import messages
from messages import wire
from reliable_driver import MakeConsumer, Q, leftovers
from workers import until, working

from lab.server import Server
from townpost import keys
from townpost.errors import UnavailableError
from townpost.message import Message
from townpost.patterns.reliable.claiming import Turns
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def blocked(client: redis.Redis) -> int:
    return int(client.info("clients")["blocked_clients"])


def work_of(message: Message) -> None:
    time.sleep(float(message.message.split()[0]))


@pytest.mark.alone
@pytest.mark.parametrize("settings", [{"prefetch": 1}, {}], ids=["pinned", "auto"])
def test_one_push_wakes_every_idle_consumer_that_it_has_a_message_for(
    server: Server, client: redis.Redis, settings: dict[str, int]
) -> None:
    # Given twenty consumers that wait, and one of them the bell
    with working(server, 20, work_of, pattern="reliable", **settings) as workers:
        until(lambda: blocked(client) >= 20)

        # When twenty messages of 0.3 s come in one push
        started = time.monotonic()
        client.rpush(Q, *[wire(f"0.3 #{n}") for n in range(20)])
        handled = workers.wait(20)

        # Then each consumer has one, and all are handled in the time of one, not of twenty
        assert len({one.worker for one in handled}) == 20
        assert time.monotonic() - started < 1.0


def test_what_woken_consumers_could_not_adopt_goes_back_to_the_head_of_the_queue(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    # Given two messages that two waking consumers moved, which were then refused the script that adopts
    client.rpush(keys.of(Q).handoff, wire("a"), wire("b"))
    client.rpush(Q, wire("c"), wire("d"))

    # When another takes one at a time, then it takes what waits, and theirs once it is clear that they do not come
    one = consumer()
    assert one.handle(limit=1) == ["c"]
    assert one.drain(seconds=0.7) == ["d", "a", "b"]


@pytest.mark.alone
@pytest.mark.parametrize("pattern", ["reliable"])
def test_slow_work_behind_quick_work_is_shared(server: Server, client: redis.Redis, pattern: str) -> None:
    # Given 6,000 quick messages, which make a consumer take many at once, and then 40 slow ones
    texts = ["0 quick"] * 6_000 + [f"0.25 slow {n}" for n in range(40)]
    for start in range(0, len(texts), 1_000):
        client.rpush(Q, *[wire(text) for text in texts[start : start + 1_000]])

    with working(server, 4, lambda m: work_of(m) if "slow" in m.message else None, pattern=pattern) as workers:
        handled = workers.wait(len(texts))

    slow = [one for one in handled if "slow" in one.message.message]
    assert len({one.message.id for one in slow}) == 40, "handled twice"
    assert max(Counter(one.worker for one in slow).values()) <= 15  # ten each would be even
    assert max(one.ended for one in slow) - min(one.began for one in slow) < 4.0  # 2.5 is ideal, 10 is one alone


@pytest.mark.alone
def test_what_is_not_begun_goes_to_others_while_the_handler_is_at_work(server: Server, client: redis.Redis) -> None:
    # Given a consumer that took many because they were quick, and meets one that takes very long
    hold = threading.Event()
    texts = ["quick"] * 3_000 + ["hold"] + [f"behind {n}" for n in range(300)]
    client.rpush(Q, *[wire(text) for text in texts])

    def work(message: Message) -> None:
        if message.message == "hold":
            assert hold.wait(20)

    with working(server, 2, work) as workers:
        # When it is still at it
        until(lambda: "hold" in [text for _, text in workers.begun])
        behind = [text for text in texts if text.startswith("behind")]
        until(lambda: set(behind) <= set(workers.texts), seconds=10)

        # Then all that was behind it was handled by the other, each once
        assert Counter(text for text in workers.texts if text.startswith("behind")) == Counter(behind)
        hold.set()
        workers.wait(len(texts))
    assert Counter(workers.texts) == Counter(texts)
    assert leftovers(client) == []


def test_a_split_gives_back_the_rest_in_order_and_the_settlement_ends_what_was_begun(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a batch of which three were begun and two are answered
    publisher.send(messages(*"abcdefgh"))
    one = consumer(lease_seconds=30)
    batch = one.take()
    begun = [next(iter(batch)) for _ in range(3)]
    begun[0].ack()
    begun[1].fail(ValueError("no"))

    # When it is split, twice as after a lost reply
    batch.overrun_at = 0.0  # type: ignore[attr-defined]  # under the surface: not in the protocol's type
    first = batch.stop_beginning()  # type: ignore[attr-defined]  # under the surface: not in the protocol's type
    for _ in range(2):
        one.listener._renewer._upkeep.split(one.listener._connection, batch, first, [])  # type: ignore[arg-type]  # under the surface: not in the protocol's type

    # Then the rest is there for others, and the third can still be answered
    assert consumer().handle() == list("defgh")
    assert list(batch) == []
    begun[2].ack()
    one.flush(batch)
    assert one.drain(seconds=0.5) == ["b"]
    assert leftovers(client) == []


def test_plain_messages_keep_a_tenth_though_urgent_ones_never_end(consumer: MakeConsumer, publisher: Publisher) -> None:
    # Given more urgent messages than are ever handled, and plain ones
    publisher.send(messages(*["plain"] * 20))
    publisher.send(messages(*["urgent"] * 200, priority=1))
    one = consumer()

    heard = [one.handle(limit=1)[0] for _ in range(100)]

    assert heard.count("plain") == 10


def test_a_tenth_of_a_large_batch_is_plain_and_comes_last(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages(*["plain"] * 200))
    publisher.send(messages(*["urgent"] * 200, priority=1))

    assert consumer().handle(limit=100) == ["urgent"] * 90 + ["plain"] * 10


def test_what_plain_messages_do_not_need_is_left_to_urgent_ones(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("plain"))
    publisher.send(messages(*["urgent"] * 200, priority=1))

    assert consumer().handle(limit=100) == ["urgent"] * 99 + ["plain"]


def test_suspects_alternate_with_the_rest(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    # Given 200 messages of crashed consumers, and an urgent one
    client.rpush(keys.of(Q).suspects, *[wire("suspect") for _ in range(200)])
    publisher.send(messages("plain", "plain"))
    publisher.send(messages("urgent", priority=9))
    one = consumer()

    heard = [one.handle(limit=1) for _ in range(6)]

    assert heard == [["suspect"], ["urgent"], ["suspect"], ["plain"], ["suspect"], ["plain"]]


def test_over_any_number_of_claims_a_tenth_is_plain() -> None:
    turns = Turns()
    limits = [1, 2, 7, 30, 1, 1, 1, 100, 57]

    assert sum(turns.plain(limit) for limit in limits) == sum(limits) // 10


def test_a_split_that_failed_is_tried_again(server: Server, client: redis.Redis) -> None:
    # Given a consumer that is at a slow message, with many behind it, and whose renewer cannot reach Redis at first
    hold = threading.Event()
    client.rpush(Q, *[wire(text) for text in ["quick"] * 3_000 + ["hold"] + ["behind"] * 50])

    def work(message: Message) -> None:
        if message.message == "hold":
            assert hold.wait(60)

    with working(server, 1, work) as workers:
        renewer = workers.consumers[0]._listening.listener._renewer  # type: ignore[attr-defined]  # under the surface: not in the protocol's type
        connect, failures = renewer._connect, [1, 2]

        def fail_at_first() -> None:
            if failures:
                failures.pop()
                raise UnavailableError("not now")
            connect()

        renewer._connect = fail_at_first
        until(lambda: "hold" in [text for _, text in workers.begun])

        # Then what is behind goes back all the same
        until(lambda: client.llen(Q) == 50, seconds=30)
        hold.set()
        workers.wait(3_051)
