"""What a queue listener holds: no more than it works on in time, and no message longer than the limit."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis
from messages import wire
from workers import working

from lab.server import Server
from townpost.consuming.listening import listen
from townpost.counts import Counts
from townpost.errors import UnreadableError
from townpost.message import Message, read
from townpost.patterns.contract import Batch
from townpost.patterns.pubsub import PubsubListener
from townpost.patterns.queue import QueueListener
from townpost.prefetch import OVERRUN_SECONDS
from townpost.redis.connection import Connection
from townpost.settings import Settings

Q = "message_queue"
ROOT = Path(__file__).parents[2]
LONG = 64 * 1024 * 1024

PEAK = """
import json, pathlib, sys, threading
from townpost.consuming.listening import listen
from townpost.settings import Settings
stop = threading.Event()
def peak():  # not ru_maxrss, which begins with that of the parent
    return int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
sizes = []
print("ready", flush=True)
for delivery in listen(sys.argv[2], settings=Settings(redis_url=sys.argv[1], pattern=sys.argv[2]), stop=stop):
    sizes.append(len(delivery.raw))
    if delivery.message is not None and delivery.message.message == "last":
        stop.set()
print(json.dumps({"sizes": sizes, "more_mib": (peak() - before) / 1024}))
"""


@pytest.fixture
def settings(server: Server) -> Settings:
    return Settings.read(redis_url=server.url, pattern="queue")


def filled(listener: QueueListener | PubsubListener) -> Batch:
    while not len(batch := listener.take(250)):
        pass
    return batch


@pytest.mark.alone
def test_slow_messages_behind_quick_ones_are_shared(settings: Settings, client: redis.Redis) -> None:
    # Given 6,000 quick messages and then 40 slow ones
    client.rpush(Q, *[wire("quick")] * 6000, *[wire("slow")] * 40)
    stop = threading.Event()
    handled: list[str] = []

    def consume() -> None:
        for delivery in listen("queue", settings=settings, stop=stop):
            assert delivery.message is not None
            if delivery.message.message == "slow":
                time.sleep(0.25)
            handled.append(delivery.message.message)

    # When four consumers take them
    consumers = [threading.Thread(target=consume, daemon=True) for _ in range(4)]
    for consumer in consumers:
        consumer.start()
    while "slow" not in handled:
        time.sleep(0.01)
    started = time.monotonic()
    while handled.count("slow") < 40:
        time.sleep(0.01)
    took = time.monotonic() - started
    stop.set()
    for consumer in consumers:
        consumer.join()

    # Then the slow ones are shared: 40 times 0.25 s by four
    assert took < 3.5
    assert len(handled) == 6040


def test_what_a_slow_handler_has_not_begun_goes_back_in_order(settings: Settings, client: redis.Redis) -> None:
    # Given a batch in flight, and the one behind it on its way
    sent = [wire(str(n), count=n + 1) for n in range(501)]
    client.rpush(Q, *sent)
    listener = QueueListener(settings, Connection(settings.url), Counts())
    listener.open()
    listener.take(250)
    batch = listener.take(250)

    # When the first message takes longer than a batch may
    deliveries = iter(batch)
    next(deliveries)
    batch.until = time.monotonic() - 1
    assert list(deliveries) == []
    listener.settle(batch)

    # Then all the others are where they were
    assert client.lrange(Q, 0, -1) == sent[2:]
    listener.close()


def test_a_batch_may_take_a_tenth_of_a_second_unless_prefetch_is_pinned(server: Server, client: redis.Redis) -> None:
    client.rpush(Q, wire(), wire())
    for prefetch, most in ((None, OVERRUN_SECONDS), (10, float("inf"))):
        listener = QueueListener(
            Settings.read(redis_url=server.url, pattern="queue", prefetch=prefetch), Connection(server.url), Counts()
        )
        listener.open()
        before = time.monotonic()
        assert before + most <= filled(listener).until <= time.monotonic() + most
        listener.close()


@pytest.mark.parametrize("pattern", ["queue", "pubsub"])
def test_a_message_of_many_times_the_limit_takes_no_memory(server: Server, client: redis.Redis, pattern: str) -> None:
    # Given a listener, and a server that would not cut off a subscriber for this
    client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
    with subprocess.Popen(
        [sys.executable, "-c", PEAK, server.url, pattern], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        payloads = [wire("first"), b"x" * LONG, wire("second"), b"y" * LONG, b"z" * LONG, wire("last")]
        if pattern == "queue":
            for payload in payloads:
                client.rpush(Q, payload)
        else:
            while not client.pubsub_numsub("messages")[0][1]:
                pass
            for payload in payloads:
                client.publish("messages", payload)

        # When messages of 64 MiB come
        said = json.loads(listener.stdout.read())
    client.config_set("client-output-buffer-limit", "pubsub 33554432 8388608 60")

    # Then they are told from the others, which come, and are never in memory
    short = [size for size in said["sizes"] if size < 1000]
    assert (len(short), len(said["sizes"])) == (3, 6)
    assert said["more_mib"] < 16


@pytest.mark.parametrize("backlog", [False, True])
def test_an_overlong_message_is_unreadable_and_its_neighbours_are_not(
    server: Server,
    client: redis.Redis,
    backlog: bool,
) -> None:
    settings = Settings.read(redis_url=server.url, pattern="queue", max_message_bytes=1000)
    listener = QueueListener(settings, Connection(server.url), Counts())
    listener.open()
    sent = [wire("a"), b"x" * 3_000_000, wire("b"), b"y" * 2_000_000, b"z" * 4_000_000, wire("c")]
    client.rpush(Q, *([wire("first")] if backlog else []), *sent)
    if backlog:
        filled(listener)

    got: list[bytes] = []
    while len(got) < len(sent):
        got += filled(listener).payloads
    listener.close()

    assert [raw for raw in got if len(raw) <= 1000] == sent[::2][:2] + sent[5:]
    for raw in got:
        if len(raw) > 1000:
            with pytest.raises(UnreadableError, match="MAX_MESSAGE_BYTES"):
                read(raw, 1000)


def test_a_glob_hears_what_follows_an_overlong_message(server: Server, client: redis.Redis) -> None:
    settings = Settings.read(redis_url=server.url, pattern="pubsub", channel="new*", max_message_bytes=1000)
    listener = PubsubListener(settings, Connection(server.url), Counts())
    listener.open()
    for payload in (wire("a"), b"x" * 3_000_000, wire("b")):
        client.publish("news", payload)

    got: list[bytes] = []
    channels: list[str] = []
    while len(got) < 3:
        batch = filled(listener)
        got += batch.payloads
        channels += batch.channels
    listener.close()

    assert [len(raw) > 1000 for raw in got] == [False, True, False]
    assert channels == ["news"] * 3


def test_what_cannot_be_given_back_is_handled_and_no_duplicate(server: Server, client: redis.Redis) -> None:
    # Given a subscriber that meets a slow message in a quick backlog, and whose connection breaks meanwhile
    client.rpush("message_queue", *[wire("slow" if n == 1_500 else str(n)) for n in range(3_000)])

    def work(message: Message) -> None:
        if message.message == "slow":
            for one in client.client_list():
                if one["name"] == "townpost-queue":
                    client.client_kill_filter(_id=one["id"])
            time.sleep(0.3)

    with working(server, 1, work, pattern="queue") as workers:
        workers.wait(3_000, seconds=20)

        # Then every message was handled, once
        assert len(set(workers.texts)) == 3_000
        assert workers.consumers[0].counts["queue"].duplicates == 0
