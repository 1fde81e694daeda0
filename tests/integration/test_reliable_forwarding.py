"""What falls due is promoted in time, by one consumer for all."""

import statistics
import time
from datetime import UTC, datetime

import pytest
import redis
import reliable_driver
from driver import messages
from messages import wire
from reliable_driver import MakeConsumer, Q, leftovers
from workers import until, working

from lab.server import Server
from townpost import keys
from townpost.message import Message
from townpost.publishing.publisher import Publisher

consumer = reliable_driver.consumer
publisher = reliable_driver.publisher


def commands(client: redis.Redis) -> int:
    return int(client.info("stats")["total_commands_processed"])


def lateness(message: Message, at: float) -> float:
    return at - float(message.message)


def send_due(publisher: Publisher, count: int, *, apart: float, ahead: float) -> None:
    """Messages that say when they are due, each sent when it is time to."""
    for _ in range(count):
        due = time.time() + ahead
        publisher.send([Message.create(repr(due))], at=datetime.fromtimestamp(due, UTC))
        time.sleep(apart)


@pytest.mark.alone
@pytest.mark.parametrize("idle", [1, 6])
def test_a_delayed_message_is_at_most_a_quarter_of_a_second_late(
    server: Server, publisher: Publisher, client: redis.Redis, idle: int
) -> None:
    # Given consumers that wait, and were told of no delay
    late: list[float] = []
    with working(server, idle, lambda m: late.append(lateness(m, time.time()))) as workers:
        until(lambda: client.exists(keys.of(Q).forwarder))

        send_due(publisher, 60, apart=0.05, ahead=0.3)
        workers.wait(60)

    assert statistics.quantiles(late, n=100)[98] < 0.25
    assert min(late) > -0.01


@pytest.mark.alone
def test_the_same_while_all_but_one_are_busy(server: Server, publisher: Publisher, client: redis.Redis) -> None:
    # Given two consumers, of which the one that forwards is at work for long
    late: list[float] = []

    def work(message: Message) -> None:
        if message.message == "long":
            time.sleep(3)
        else:
            late.append(lateness(message, time.time()))

    with working(server, 1, work) as first:
        until(lambda: client.exists(keys.of(Q).forwarder))
        client.rpush(Q, wire("long"))
        until(lambda: first.begun)
        with working(server, 1, work):
            send_due(publisher, 30, apart=0.05, ahead=0.2)
            until(lambda: len(late) == 30)

    assert statistics.quantiles(late, n=100)[98] < 0.25


@pytest.mark.alone
def test_commands_do_not_grow_with_the_number_of_idle_consumers(
    server: Server, publisher: Publisher, client: redis.Redis
) -> None:
    def cost(idle: int) -> float:
        """Commands a second beyond two of each idle consumer, while twenty messages a second fall due."""
        with working(server, idle, lambda _: None) as workers:
            until(lambda: client.exists(keys.of(Q).forwarder))
            before, started = commands(client), time.monotonic()
            send_due(publisher, 60, apart=0.05, ahead=0.3)
            workers.wait(60)
            return (commands(client) - before) / (time.monotonic() - started) - 2 * idle

    few = cost(2)
    client.flushall()
    many = cost(24)

    # 80 with 2 and 650 with 24 in the days of everyone for himself; commands inside scripts count as well
    assert many < few * 1.3 + 20


@pytest.mark.alone
def test_idle_consumers_send_two_commands_a_second_each_at_most(server: Server, client: redis.Redis) -> None:
    def sent() -> int:
        # of those that reach the server on their own: what a script calls is not a round trip
        stats = client.info("commandstats")
        own = ("cmdstat_eval", "cmdstat_evalsha", "cmdstat_blmove", "cmdstat_blpop", "cmdstat_client|unblock")
        return sum(int(stats[name]["calls"]) for name in own if name in stats)

    with working(server, 3, lambda _: None):
        until(lambda: client.exists(keys.of(Q).forwarder))
        before, started = sent(), time.monotonic()
        until(lambda: time.monotonic() - started > 10, seconds=20)
        rate = (sent() - before) / (time.monotonic() - started)

    assert rate / 3 < 1.7  # and a third of a report


def test_an_earlier_delay_wakes_the_forwarder(server: Server, publisher: Publisher, client: redis.Redis) -> None:
    # Given a forwarder that sleeps until a message is due tomorrow
    with working(server, 1, lambda _: None) as workers:
        publisher.send(messages("tomorrow"), delay=86_400)
        until(lambda: client.exists(keys.of(Q).forwarder))

        publisher.send(messages("soon"), delay=0.1)

        assert [one.message.message for one in workers.wait(1, seconds=2)] == ["soon"]


def test_a_lost_forwarder_is_replaced(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    # Given a consumer that forwarded, and is gone without a word
    client.set(keys.of(Q).forwarder, "a consumer that was killed", px=300)
    publisher.send(messages("due"), delay=0.5)

    one = consumer()
    assert one.handle(seconds=5) == ["due"]
    while not one.listener._forwarder.elected:
        one.take(seconds=0.1)


def test_a_stop_leaves_the_place_to_another(consumer: MakeConsumer, client: redis.Redis) -> None:
    one = consumer()
    one.take(seconds=0.1)
    until(lambda: client.exists(keys.of(Q).forwarder))

    one.listener.close()

    assert not client.exists(keys.of(Q).forwarder)
    assert leftovers(client) == []


def test_who_is_no_longer_the_forwarder_stops_and_passes_the_bell_on(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given two consumers of which both were the forwarder, the first one frozen until its place was taken
    first = consumer()
    first.take(seconds=0.1)
    until(lambda: client.exists(keys.of(Q).forwarder))
    client.delete(keys.of(Q).forwarder)
    second = consumer()
    second.take(seconds=0.1)
    until(lambda: client.exists(keys.of(Q).forwarder))

    # When the bell reaches either
    publisher.send(messages("due"), delay=0.1)

    assert second.handle(seconds=2) == ["due"]
