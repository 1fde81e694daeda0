"""Ratios of one interleaved run, never absolute times: what the promises cost."""

import json
import statistics
import threading
import time
from collections.abc import Callable

import pytest
import redis
from messages import wire

from lab.server import Server
from townpost import keys
from townpost.consuming.consumer import Consumer
from townpost.consuming.handlers import _Each
from townpost.counts import Counts
from townpost.message import Message
from townpost.patterns.reliable.listener import ReliableListener
from townpost.redis.connection import Connection, pack
from townpost.settings import Settings

pytestmark = pytest.mark.alone

Q = "reliable_queue"
MESSAGES = 20_000
ROUNDS = 5


def _fill(client: redis.Redis, queue: str, count: int) -> None:
    for start in range(0, count, 1000):
        client.rpush(queue, *[wire("Hello from Python #1", count=start + n + 1) for n in range(1000)])


def _naive(client: redis.Redis, queue: str, count: int) -> None:
    for _ in range(count):
        reply = client.blpop([queue])
        assert reply is not None
        json.loads(reply[1])


def _subscriber(server: Server, pattern: str, count: int) -> Callable[[], None]:
    """A consumer with a handler that does nothing, to be run until it has handled so many."""
    stop = threading.Event()
    handled = 0

    def handle(_message: Message) -> None:
        nonlocal handled
        handled += 1
        if handled >= count:
            stop.set()

    settings = Settings.read(redis_url=server.url, pattern=pattern)
    return Consumer(pattern, settings, _Each(handle), stop).run


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@pytest.mark.timeout(180)
def test_draining_is_several_times_as_fast_as_one_blpop_for_each(server: Server, client: redis.Redis) -> None:
    ratios: dict[str, list[float]] = {"reliable": [], "queue": []}
    for _ in range(ROUNDS):
        _fill(client, "naive", MESSAGES // 10)
        naive = _timed(lambda: _naive(client, "naive", MESSAGES // 10)) * 10
        for pattern, name in (("reliable", Q), ("queue", "message_queue")):
            _fill(client, name, MESSAGES)
            run = _subscriber(server, pattern, MESSAGES)
            ratios[pattern].append(naive / _timed(run))
            assert client.llen(name) == 0

    medians = {pattern: statistics.median(found) for pattern, found in ratios.items()}
    print(f"\ndrain, times the naive loop: {medians}")
    assert medians["reliable"] >= 6
    assert medians["queue"] >= 10


def _answer_naively(port: int, stop: threading.Event, latencies: list[float]) -> None:
    with redis.Redis(port=port) as client:
        while not stop.is_set():
            reply = client.blpop(["naive"], timeout=1)
            if reply is not None:
                latencies.append(time.perf_counter() - json.loads(reply[1])["data"]["sent"])


def _latencies(server: Server, client: redis.Redis, rounds: int) -> dict[str, float]:
    """Median seconds from push to handler, of a plain consumer and of ours, both waiting; messages in turn."""
    latencies: dict[str, list[float]] = {"naive": [], Q: []}
    stop = threading.Event()

    def handle(message: Message) -> None:
        assert message.data is not None
        sent = message.data["sent"]
        assert isinstance(sent, float)
        latencies[Q].append(time.perf_counter() - sent)

    ours = Consumer("reliable", Settings.read(redis_url=server.url, pattern="reliable"), _Each(handle), stop)
    threads = [
        threading.Thread(target=_answer_naively, args=(server.port, stop, latencies["naive"])),
        threading.Thread(target=ours.run),
    ]
    for thread in threads:
        thread.start()
    for number in range(rounds):
        for queue, found in latencies.items():
            client.rpush(queue, wire(count=number + 1, data={"sent": time.perf_counter()}))
            deadline = time.monotonic() + 5
            while len(found) <= number and time.monotonic() < deadline:
                time.sleep(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    return {queue: statistics.median(found) for queue, found in latencies.items()}


@pytest.mark.timeout(120)
def test_an_idle_consumer_is_reached_at_most_twice_as_late_as_by_a_plain_blpop(
    server: Server, client: redis.Redis
) -> None:
    runs = [_latencies(server, client, 200) for _ in range(3)]

    ratios = [p50[Q] / p50["naive"] for p50 in runs]
    print(f"\npush to handler on an idle queue, p50 in s: {runs}, ratios {ratios}")
    assert min(ratios) <= 2  # other work on the machine disturbs whole runs


@pytest.mark.timeout(180)
def test_a_batch_costs_the_same_whatever_waits_and_whatever_is_in_flight(server: Server, client: redis.Redis) -> None:
    def cost(waiting: int, in_flight: int) -> float:
        """Median seconds of ten claims of 100 with their settlements."""
        client.flushall()
        _fill(client, Q, 1000)
        settings = Settings.read(redis_url=server.url, pattern="reliable", lease_seconds=600)
        listeners = [ReliableListener(settings, Connection(server.url), Counts()) for _ in range(2)]
        for listener in listeners:
            listener.open()
        for n in range(in_flight):  # claims of others: one message each
            name = keys.of(Q).claim("other", n)
            client.rpush(name, wire())
            client.zadd(keys.of(Q).leases, {name: (time.time() + 600) * 1000})
        thousand = pack(("RPUSH", Q, *[wire()] * 1000))
        for _ in range(waiting // 1000):
            listeners[1]._connection.exchange(thousand, 1)
        times = []
        for _ in range(10):
            started = time.perf_counter()
            batch = listeners[0].take(100)
            for delivery in batch:
                delivery.ack()
            listeners[0].settle(batch)
            times.append(time.perf_counter() - started)
        for listener in listeners:
            listener.close()
        return statistics.median(times)

    cases = {"1,000 waiting": (1_000, 1), "1,000,000 waiting": (1_000_000, 1), "10,000 in flight": (1_000, 10_000)}
    least = dict.fromkeys(cases, float("inf"))
    for _ in range(4):
        for name, (waiting, in_flight) in cases.items():
            least[name] = min(least[name], cost(waiting, in_flight))
    ratios = {name: seconds / least["1,000 waiting"] for name, seconds in least.items()}
    print(f"\na batch of 100, times that of 1,000 waiting and 1 in flight: {ratios}")
    assert ratios["1,000,000 waiting"] < 2
    assert ratios["10,000 in flight"] < 2
