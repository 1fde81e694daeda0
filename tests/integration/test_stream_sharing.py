"""Members share the work of a stream, whatever one of them has taken: what overruns goes to whoever is idle."""

import threading
import time
from collections.abc import Iterator

import pytest
import redis
import stream_driver
from driver import messages
from messages import wire
from stream_driver import MakeConsumer, S, held, ids, pending, text_of

from lab.server import Server
from townpost import keys
from townpost.consuming.consumer import Consumer
from townpost.consuming.handlers import _Each
from townpost.message import Message
from townpost.patterns.dead_letters import DeadLetters
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings

consumer = stream_driver.consumer
unhurried = stream_driver.unhurried
publisher = stream_driver.publisher
dead = stream_driver.dead


class Members:
    """Subscribers in threads, with a handler that takes as long as the message says."""

    def __init__(self, server: Server, size: int) -> None:
        self.handled: list[tuple[str, float]] = []
        self._stops = [threading.Event() for _ in range(size)]
        settings = Settings.read(redis_url=server.url, pattern="stream")
        self.consumers = [Consumer("stream", settings, _Each(self._handle), stop) for stop in self._stops]
        self._threads = [threading.Thread(target=one.run) for one in self.consumers]
        for thread in self._threads:
            thread.start()

    def _handle(self, message: Message) -> None:
        if message.message.startswith("slow"):
            time.sleep(0.25)
        self.handled.append((message.message, time.monotonic()))

    def wait(self, count: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while len(self.handled) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.handled) >= count

    def stop(self) -> None:
        for stop in self._stops:
            stop.set()
        for thread in self._threads:
            thread.join(20)


@pytest.fixture
def members(server: Server) -> Iterator[Members]:
    made = Members(server, 4)
    yield made
    made.stop()


@pytest.mark.alone
def test_slow_messages_behind_quick_ones_are_shared(members: Members, publisher: Publisher) -> None:
    publisher.send(messages(*["quick"] * 6000, *[f"slow {n}" for n in range(40)]))

    members.wait(6040, 20)

    slow = [at for text, at in members.handled if text.startswith("slow")]
    taken = max(slow) - min(slow) + 0.25
    print(f"\n40 messages of 0.25 s behind 6,000 quick ones, 4 members: {taken:.2f} s")
    assert taken < 4
    assert len(members.handled) == 6040


def test_what_overruns_goes_to_an_idle_member_in_order_and_first(
    unhurried: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a member that is in the first of eight messages, and one that waits; and more in the stream
    publisher.send(messages(*"abcdefgh"))
    slow, idle = unhurried(prefetch="auto"), unhurried()
    idle.listener._look.at = time.monotonic() + 60
    batch = slow.take(8)
    at_work = iter(batch)
    first = next(at_work)
    started = time.monotonic()

    # When its time is up
    found = idle.take()

    # Then the other has all that it has not begun, in order, and it keeps what it is in
    assert time.monotonic() - started < 1
    assert [delivery.message.message for delivery in found if delivery.message] == list("bcdefgh")
    first.ack()
    assert list(at_work) == []
    slow.flush(batch)
    for delivery in list(found):
        delivery.ack()
    for index in range(len(found)):
        found.answered(index, None)
    idle.flush(found)
    assert (slow.counts.late, idle.counts.late) == (0, 0)
    assert pending(client) == 0


def test_a_pinned_batch_is_not_split(unhurried: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages(*"abc"))
    slow, idle = unhurried(prefetch="3", lease_seconds=5), unhurried(lease_seconds=5)
    batch = slow.take(3)
    at_work = iter(batch)
    next(at_work)

    assert len(idle.take(seconds=1)) == 0

    assert len(list(at_work)) == 2


def test_a_split_done_twice_changes_nothing(
    consumer: MakeConsumer, publisher: Publisher, server: Server, client: redis.Redis
) -> None:
    publisher.send(messages(*"abc"))
    one, other = consumer(lease_seconds=30), consumer(lease_seconds=30)
    batch = one.take()
    connection = Connection(server.url)
    connection.connect()
    upkeep = one.listener._renewer._upkeep

    for _ in range(2):
        upkeep.split(connection, batch, 1, ())  # type: ignore[arg-type]  # a batch as the listener makes it, held as the protocol's type

    assert client.zcard(keys.retries(S, stream_driver.GROUP)) == 2
    assert other.handle() == ["b", "c"]
    upkeep.split(connection, batch, 1, ())  # type: ignore[arg-type]  # a batch as the listener makes it, held as the protocol's type
    next(iter(batch)).ack()
    one.flush(batch)
    assert other.handle(seconds=0.3) == []
    assert pending(client) == 0
    connection.close()


@pytest.mark.parametrize("count", [501, 1000, 8001])
def test_any_number_is_given_back_at_once(consumer: MakeConsumer, client: redis.Redis, count: int) -> None:
    # Given a member that has so many in flight, as another version might have read them
    pipe = client.pipeline()
    for n in range(count):
        pipe.xadd(S, {"message": wire(str(n), count=n + 1)})
    pipe.execute()
    one, other = consumer(lease_seconds=60, prefetch="10000"), consumer(lease_seconds=60, prefetch="10000")
    one.listener._size.of = lambda limit: limit  # type: ignore[method-assign]  # the fault, put where the method was
    batch = one.take(10_000)
    assert len(batch) == count

    # When it gives them back, all but one, which fails
    next(iter(batch)).fail(ValueError())
    one.flush(batch)

    # Then another gets them, in order
    got: list[str] = []
    while len(got) < count - 1:
        found = [text for text in other.handle(10_000, seconds=5) if text != "0"]
        assert found
        got += found
    assert got == [str(n) for n in range(1, count)]


def test_clean_stops_count_no_attempts(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, dead: DeadLetters
) -> None:
    # Given three members that stop before they begin what they have taken
    publisher.send(messages("a", "b"))
    for _ in range(3):
        one = consumer(max_attempts=2, lease_seconds=30)
        batch = one.take()
        assert len(batch) == 2
        one.listener.settle(batch)
        one.listener.close()

    # Then nothing is dead, and the first failure is a first one
    last = consumer(max_attempts=2, lease_seconds=30)
    first, second = (batch := last.take())
    first.fail(ValueError())
    second.ack()
    last.flush(batch)
    assert dead.all() == []
    assert held(client)[1] == 1
    last.fail(ValueError())
    assert [(text_of(dead_letter), dead_letter.attempts) for dead_letter in dead.all()] == [("a", 2)]


def test_a_member_that_lost_its_lease_begins_nothing_more(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a member whose process was frozen past its lease after 3 of 15: nothing renewed, and another took one
    publisher.send(messages(*[str(n) for n in range(15)]))
    frozen = consumer()
    batch = frozen.take()
    assert len(batch) == 15
    frozen.die()
    at_work = iter(batch)
    for _ in range(3):
        next(at_work).ack()
    other = consumer()
    assert len(other.handle()) == 1

    # Then it begins nothing more, by its own clock
    assert list(at_work) == []
    frozen.flush(batch)
    others = [text for _ in range(12) for text in other.handle(seconds=1)]
    assert sorted(map(int, others)) == list(range(3, 15))
    assert pending(client) == 0


def test_a_renewal_tells_that_entries_are_in_other_hands(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages(*"abc"))
    one = consumer()
    batch = one.take(3)
    at_work = iter(batch)
    next(at_work)

    client.xclaim(S, stream_driver.GROUP, "somebody", 0, [ids(client)[1]])
    deadline = time.monotonic() + 5
    while not batch.lost and time.monotonic() < deadline:  # type: ignore[attr-defined]  # under the surface: not in the protocol's type
        time.sleep(0.01)

    assert list(at_work) == []
