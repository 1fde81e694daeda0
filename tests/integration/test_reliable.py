"""The protocol of the reliable queue, step by step on a real server; consumers that die are simply not asked again."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

import pytest
import redis
from messages import wire

from lab.proxy import Proxy
from lab.server import Server
from shared import keys
from shared.connection import Link
from shared.counts import Counts
from shared.errors import FullError, UnavailableError
from shared.message import Message
from shared.patterns import PATTERNS
from shared.patterns.contract import Batch
from shared.patterns.leased import LeasedBatch
from shared.patterns.letters import DeadLetters, Letter, scheduled
from shared.patterns.reliable.listener import ReliableListener
from shared.publishing import Publisher
from shared.settings import Settings

Q = "reliable_queue"


class Consumer:
    """A listener driven by hand."""

    def __init__(self, url: str, **settings: object) -> None:
        given = {"lease_seconds": 0.3, "backoff_seconds": 0.01, "redis_url": url, "pattern": "reliable"} | settings
        self.counts = Counts()
        chosen = Settings.read(**given)
        self.listener = ReliableListener(chosen, Link(chosen.url), self.counts)
        self.listener.open()

    def take(self, limit: int = 1000, seconds: float = 5) -> Batch:
        """The next batch that is not empty; empty only if none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            batch = self.listener.take(limit)
            if len(batch) or time.monotonic() > deadline:
                return batch

    def handle(self, limit: int = 1000, seconds: float = 5) -> list[str]:
        """Take one batch, acknowledge it and have that sent."""
        batch = self.take(limit, seconds)
        texts = []
        for delivery in batch:
            texts.append(delivery.message.message if delivery.message else "?")
            delivery.ack()
        self.flush(batch)
        return texts

    def flush(self, batch: Batch) -> None:
        self.listener.settle(batch)
        self.listener._settling.exchange([])

    def drain(self, seconds: float = 1) -> list[str]:
        """Everything there is, until nothing comes for so long."""
        texts: list[str] = []
        while found := self.handle(seconds=seconds):
            texts += found
        return texts


class MakeConsumer(Protocol):
    def __call__(self, url: str | None = None, **settings: object) -> Consumer: ...


@pytest.fixture
def consumer(server: Server) -> Iterator[MakeConsumer]:
    made: list[Consumer] = []

    def make(url: str | None = None, **settings: object) -> Consumer:
        made.append(Consumer(url or server.url, **settings))
        return made[-1]

    yield make
    for each in made:
        each.listener.close()


@pytest.fixture
def publisher(server: Server) -> Iterator[Publisher]:
    with Publisher(settings=Settings.read(redis_url=server.url, pattern="reliable")) as publisher:
        yield publisher


def leftovers(client: redis.Redis) -> list[bytes]:
    found = [key for key in client.keys("*") if isinstance(key, bytes)]
    return [key for key in found if not key.startswith(b"townpost:")]


def letters(one: Consumer) -> list[Letter]:
    return DeadLetters(one.listener._link, PATTERNS["reliable"], Q).all()


def messages(*texts: str, priority: int | None = None) -> list[Message]:
    return [Message.create(text, count=n, priority=priority) for n, text in enumerate(texts, 1)]


def test_what_is_acknowledged_is_gone_and_leaves_nothing(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("a", "b", "c"))

    assert consumer().handle() == ["a", "b", "c"]

    assert leftovers(client) == []


def test_the_wire_format_gains_no_byte(publisher: Publisher, client: redis.Redis) -> None:
    message = Message.create("a")
    publisher.send([message])

    assert client.lrange(Q, 0, -1) == [message.encode()]


def test_any_list_that_others_fill_will_do(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.rpush("message_queue", wire("from elsewhere"))

    assert consumer(reliable_queue="message_queue").handle() == ["from elsewhere"]
    assert leftovers(client) == []


def test_a_consumer_that_dies_between_wait_and_claim_strands_nothing(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    # Given a message that a consumer moved to the handoff before it died
    client.rpush(Q, wire("stranded"), wire("next"))
    client.blmove(Q, keys.handoff(Q), 1, "LEFT", "RIGHT")

    assert consumer().handle() == ["stranded", "next"]


def test_what_a_dead_consumer_held_comes_again_after_the_lease_one_by_one(
    consumer: MakeConsumer, publisher: Publisher
) -> None:
    # Given a consumer that died with three messages in hand
    publisher.send(messages("a", "b", "c"))
    died = consumer()
    died.listener._keeper.close()
    died.take()
    started = time.monotonic()

    # When another looks
    other = consumer()
    first = other.handle()

    # Then it gets them, each alone, when the lease has run out
    assert 0.25 < time.monotonic() - started < 1.3
    assert [first, other.handle(), other.handle()] == [["a"], ["b"], ["c"]]
    assert other.counts.recovered == 3


def test_a_lease_is_kept_while_the_handler_works(consumer: MakeConsumer, publisher: Publisher) -> None:
    # Given a handler that takes three leases' time
    publisher.send(messages("slow"))
    slow, other = consumer(), consumer()
    batch = slow.take()

    taken = other.take(seconds=0.9)

    assert len(taken) == 0
    for delivery in batch:
        delivery.ack()
    slow.flush(batch)
    assert slow.counts.late == 0


def test_a_handler_that_hangs_loses_its_lease(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("stuck"))
    hung, other = consumer(handler_timeout=0.2), consumer()
    hung.take()

    assert other.handle(seconds=3) == ["stuck"]


def test_a_late_answer_is_counted_and_changes_nothing(consumer: MakeConsumer, publisher: Publisher) -> None:
    # Given a batch whose lease ran out, and that another consumer has now
    publisher.send(messages("a"))
    slow, other = consumer(), consumer()
    slow.listener._keeper.close()
    batch = slow.take()
    others = other.take()
    assert len(others) == 1

    # When the first one answers after all
    for delivery in batch:
        delivery.fail(ValueError("too late anyway"))
    slow.flush(batch)

    # Then that is counted, and the other's answer is what counts
    assert slow.counts.late == 1
    for delivery in others:
        delivery.ack()
    other.flush(others)
    assert other.counts.late == 0
    assert other.take(seconds=0.6).payloads == []


def test_a_failure_is_tried_again_and_then_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("bad", "good"))
    one = consumer(max_attempts=3)

    tries = 0
    while True:
        batch = one.take(seconds=1)
        if not len(batch):
            break
        for delivery in batch:
            assert delivery.message is not None
            if delivery.message.message == "bad":
                tries += 1
                delivery.fail(ValueError("no good"))
            else:
                delivery.ack()
        one.flush(batch)

    (letter,) = letters(one)
    assert tries == 3
    assert (letter.reason, letter.error, letter.attempts) == ("failed", "ValueError: no good", 3)
    assert leftovers(client) == [keys.dead(Q).encode()]


def test_the_pause_before_a_retry_doubles_up_to_the_cap(
    consumer: MakeConsumer, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given no luck with the jitter
    monkeypatch.setattr("random.random", lambda: 1.0)
    publisher.send(messages("bad"))
    one = consumer(backoff_seconds=0.05, backoff_cap_seconds=0.15)

    pauses = []
    for _ in range(4):
        batch = one.take()
        for delivery in batch:
            delivery.fail(ValueError())
        one.flush(batch)
        ((due, _),) = scheduled(one.listener._link, Q, 1)
        pauses.append((due - datetime.now(UTC)).total_seconds())

    assert [round(pause, 2) for pause in pauses] == pytest.approx([0.05, 0.10, 0.15, 0.15], abs=0.02)


def test_what_cannot_be_read_is_dead_at_once(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.rpush(Q, b"rubbish", wire("fine"))
    one = consumer()
    batch = one.take()
    for delivery in batch:
        if delivery.problem is not None:
            delivery.fail(delivery.problem)
        else:
            delivery.ack()
    one.flush(batch)

    (letter,) = letters(one)
    assert (letter.payload, letter.reason, letter.attempts) == (b"rubbish", "unreadable", 1)


def test_only_the_message_that_kills_its_consumers_is_dead(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given 500 messages, one of which kills whoever handles it
    publisher.send(messages(*[f"m{n}" for n in range(250)], "poison", *[f"m{n}" for n in range(250, 499)]))
    handled: list[str] = []

    # When consumers come and die
    deaths = 0
    one = consumer()
    while True:
        batch = one.take(seconds=1)
        if not len(batch):
            break
        died = False
        for delivery in batch:
            assert delivery.message is not None
            if delivery.message.message == "poison":
                died = True
                break
            delivery.ack()
            handled.append(delivery.message.message)
        if died:
            deaths += 1
            one.listener._keeper.close()  # nothing renews what a dead process held
            one = consumer()
        else:
            one.flush(batch)

    # Then it alone ends among the dead letters, and its neighbours were all handled
    (letter,) = letters(one)
    assert json.loads(letter.payload)["message"] == "poison"
    assert (letter.reason, letter.crashes, letter.attempts) == ("crashed", 3, 0)
    assert deaths == 4  # once with its neighbours, when nobody is blamed, and three times alone
    assert set(handled) == {f"m{n}" for n in range(499)}
    assert leftovers(client) == [keys.dead(Q).encode()]


def test_what_was_not_begun_goes_back_to_the_head_in_order(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages(*"abcde"))
    one = consumer()
    batch = one.take(limit=4)
    next(iter(batch)).ack()

    one.flush(batch)

    assert [json.loads(raw)["message"] for raw in client.lrange(Q, 0, -1)] == list("bcde")


def test_urgent_messages_overtake_by_level_then_by_age(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("plain1", "plain2"))
    publisher.send(messages("low1", "low2", priority=1))
    publisher.send(messages("high1", "high2", priority=9))
    publisher.send(messages("zero", priority=0))

    assert consumer().drain(seconds=0.5) == ["high1", "high2", "low1", "low2", "plain1", "plain2", "zero"]


def test_a_delayed_message_comes_when_it_is_due_and_not_before(consumer: MakeConsumer, publisher: Publisher) -> None:
    started = time.monotonic()
    publisher.send(messages("later"), delay=0.5)
    publisher.send(messages("now"))
    one = consumer()

    assert one.handle() == ["now"]
    assert one.handle() == ["later"]
    assert 0.45 < time.monotonic() - started < 1


def test_a_delayed_urgent_message_is_still_urgent_when_due(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("urgent", priority=5), delay=0.05)
    publisher.send(messages("plain"))
    time.sleep(0.1)  # until it is due: nothing else is waited for

    assert consumer().handle() == ["urgent", "plain"]


def test_equal_payloads_are_kept_apart_while_they_wait(consumer: MakeConsumer, publisher: Publisher) -> None:
    message = Message.create("twin", priority=3)
    publisher.send([message] * 3, delay=0.05)

    assert consumer().handle() == ["twin"] * 3


def test_a_full_queue_refuses_until_there_is_room(server: Server, consumer: MakeConsumer) -> None:
    settings = Settings.read(redis_url=server.url, pattern="reliable", reliable_limit=3)
    with Publisher(settings=settings) as publisher:
        publisher.send(messages(*"abc"))
        with pytest.raises(FullError, match="3 messages are waiting"):
            publisher.send(messages("d"))

        assert consumer().handle() == ["a", "b", "c"]

        publisher.send(messages("d"))


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
        one.listener._settling.exchange([])

        assert one.take(seconds=0.6).payloads == []
        assert one.counts.late == 0
        assert leftovers(client) == []


def test_a_batch_is_one_round_trip(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    for _ in range(10):
        publisher.send(messages(*[str(n) for n in range(100)]))
    one = consumer(lease_seconds=30)
    batch = one.take(100)
    client.config_resetstat()

    for _ in range(9):
        for delivery in batch:
            delivery.ack()
        one.listener.settle(batch)
        batch = one.take(100)

    # then each of nine batches cost one settle and one claim, in one write
    stats = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 18
    assert "cmdstat_blmove" not in stats


@pytest.mark.parametrize("size", [1, 1000])
def test_renewing_costs_the_same_for_a_claim_of_any_size(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, size: int
) -> None:
    publisher.send(messages(*["m"] * size))
    one = consumer(lease_seconds=30)
    batch = one.take()
    assert len(batch) == size
    client.config_resetstat()

    assert isinstance(batch, LeasedBatch)
    one.listener._keepers_recovery.renew(one.listener._link, [batch])

    stats = client.info("commandstats")
    assert {name: stats[name]["calls"] for name in stats if "zadd" in name or "eval" in name or "lrange" in name} == {
        "cmdstat_zadd": 1,
        "cmdstat_eval": 1,
    }


def test_large_messages_are_taken_a_few_at_a_time(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.rpush(Q, *[wire("x" * (1024 * 1024 - 200)) for _ in range(40)])
    one = consumer()

    batch = one.take()

    assert 1 <= len(batch) <= 17
    assert client.llen(Q) + len(batch) == 40


def test_draining_works_when_redis_is_full_and_the_publisher_is_told(own_server: Server) -> None:
    with redis.Redis(port=own_server.port) as client:
        settings = Settings.read(redis_url=own_server.url, pattern="reliable")
        with Publisher(settings=settings) as publisher:
            publisher.send(messages(*[f"m{n}" for n in range(2000)]))
            client.config_set("maxmemory", "1")
            with pytest.raises(FullError, match="raise maxmemory or let the subscribers drain"):
                publisher.send(messages("more"))
            one = Consumer(own_server.url)

            texts = one.drain(seconds=0.5)

            assert len(texts) == 2000
            assert leftovers(client) == []
            one.listener.close()


def test_requeued_letters_start_anew_and_keep_their_history(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a message that died of its failures, was requeued, and dies again
    publisher.send(messages("bad"))
    one = consumer(max_attempts=1)
    link = Link(server.url)
    link.connect()
    dead = DeadLetters(link, PATTERNS["reliable"], Q)
    for error in ("first", "second"):
        batch = one.take()
        for delivery in batch:
            delivery.fail(ValueError(error))
        one.flush(batch)
        if error == "first":
            assert dead.requeue([letter.id for letter in dead.all()]) == 1

    # Then the letter tells of both
    (letter,) = dead.all("failed")
    assert (letter.error, letter.attempts) == ("ValueError: second", 1)
    assert [(past["error"], past["attempts"]) for past in letter.history] == [("ValueError: first", 1)]

    # And handled at last, it leaves nothing
    dead.requeue([letter.id])
    assert one.handle() == ["bad"]
    assert leftovers(client) == []
    link.close()


def test_a_million_waiting_messages_cost_a_claim_no_more_than_a_thousand(
    consumer: MakeConsumer, client: redis.Redis
) -> None:
    def cost(depth: int) -> float:
        client.delete(Q)
        payload = wire()
        for _ in range(depth // 1000):
            client.rpush(Q, *[payload] * 1000)
        one = consumer(lease_seconds=30)
        times = []
        for _ in range(30):
            started = time.perf_counter()
            batch = one.take(100)
            for delivery in batch:
                delivery.ack()
            one.listener.settle(batch)
            times.append(time.perf_counter() - started)
        return sorted(times)[10]

    assert cost(1_000_000) < 3 * cost(4_000)
