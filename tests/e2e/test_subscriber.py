"""The subscriber as a user starts it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import redis
from conftest import Start
from messages import wire

from lab.processes import ROOT
from lab.server import Server


def test_it_prints_what_other_programs_send(start: Start, client: redis.Redis) -> None:
    subscriber = start("subscriber")
    subscriber.wait_for("connected", count=2)
    message = wire("Hello from Go #1", id="0b9f7a52-7c5a-4f7e-8f9e-2f1f3d0a1c11", sender="go-publisher")

    client.publish("messages", message)
    client.rpush("message_queue", message)

    line = "[2025-03-29 08:32:00] [go-publisher] Hello from Go #1 (ID: 0b9f7a52-7c5a-4f7e-8f9e-2f1f3d0a1c11)"
    assert subscriber.wait_for("from pub-sub") == [f"{line} [Received #1 from pub-sub]"]
    assert subscriber.wait_for("from queue") == [f"{line} [Received #1 from queue]"]


def test_only_messages_go_to_standard_output(server: Server, client: redis.Redis) -> None:
    client.rpush("message_queue", wire("one"), b"rubbish", wire("two"))
    subscriber = subprocess.Popen(
        [sys.executable, "-m", "subscriber"],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATTERN": "queue", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert subscriber.stdout is not None
    lines = [subscriber.stdout.readline(), subscriber.stdout.readline()]
    subscriber.terminate()
    rest, log = subscriber.communicate(timeout=10)

    assert ["one" in lines[0], "two" in lines[1], rest] == [True, True, ""]
    assert "unreadable message" in log


def test_json_logs_are_json_on_both_outputs(start: Start, client: redis.Redis) -> None:
    client.rpush("message_queue", wire("one"))
    subscriber = start("subscriber", PATTERN="queue", LOG_FORMAT="json")
    subscriber.wait_for('"from":"queue"')
    subscriber.stop()

    documents = [json.loads(line) for line in subscriber.lines]
    received = [document for document in documents if "message" in document]
    assert [(d["received"], d["from"], d["message"]["message"]) for d in received] == [(1, "queue", "one")]
    assert all({"time", "level", "source", "text"} <= set(d) for d in documents if "message" not in d)


def test_a_glob_listens_to_every_channel_that_matches(start: Start, client: redis.Redis) -> None:
    subscriber = start("subscriber", PATTERN="pubsub", CHANNEL="tasks.*")
    subscriber.wait_for("connected")

    client.publish("tasks.event.created", wire("created"))
    client.publish("other", wire("other"))
    client.publish("tasks.event.deleted", wire("deleted"))

    subscriber.wait_for("deleted", "[Received #2 from pub-sub]")


def test_a_gap_is_named(start: Start, client: redis.Redis) -> None:
    subscriber = start("subscriber", PATTERN="pubsub")
    subscriber.wait_for("connected")

    for count in (1, 2, 6):
        client.publish("messages", wire(count=count, epoch="e", sender="s"))

    subscriber.wait_for("gap: never heard #3 to #5 of s (3 missed)")


def test_a_backlog_is_drained_completely_and_in_order(start: Start, client: redis.Redis) -> None:
    client.rpush("message_queue", *[wire(f"m{n}") for n in range(5000)])

    subscriber = start("subscriber", PATTERN="queue")

    lines = subscriber.wait_for("from queue", count=5000)
    assert [line.split()[3] for line in lines] == [f"m{n}" for n in range(5000)]


@pytest.mark.alone
@pytest.mark.parametrize("pattern", ["pubsub", "queue", "both"])
def test_stopping_an_idle_subscriber_takes_less_than_a_second(start: Start, pattern: str) -> None:
    subscriber = start("subscriber", PATTERN=pattern)
    subscriber.wait_for("connected", count=2 if pattern == "both" else 1)

    started = time.monotonic()

    assert subscriber.stop() == 0
    assert time.monotonic() - started < 1


@pytest.mark.alone
def test_a_stop_finishes_the_message_in_flight_and_gives_the_rest_back_in_order(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    # Given a slow handler with a batch in flight
    environment = handler(
        "import time\n"
        "def handle(message):\n"
        "    print('begin', message.message, flush=True)\n"
        "    time.sleep(0.7)\n"
        "    print('end', message.message, flush=True)\n"
    )
    sent = [wire(f"m{n}") for n in range(10)]
    client.rpush("message_queue", *sent)
    subscriber = start("subscriber", PATTERN="queue", PREFETCH="5", **environment)
    subscriber.wait_for("begin m1")

    # When it is told to stop
    started = time.monotonic()
    assert subscriber.stop() == 0

    # Then the message in flight was finished, and the others are where they were
    assert time.monotonic() - started < 0.7 + 1
    assert subscriber.matching("end m1")
    assert not subscriber.matching("begin m2")
    assert client.lrange("message_queue", 0, -1) == sent[2:]


def test_a_handler_that_raises_is_logged_counted_and_not_fatal(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    environment = handler(
        "def handle(message):\n"
        "    if message.message == 'bad':\n"
        "        raise ValueError('no good')\n"
        "    print('handled', message.message, flush=True)\n"
    )
    client.rpush("message_queue", wire("bad"), wire("good"))
    subscriber = start("subscriber", PATTERN="queue", **environment)

    subscriber.wait_for("handled good")
    subscriber.wait_for("the handler failed with ValueError: no good")
    subscriber.stop()
    assert subscriber.matching("total from queue: 2 received, 1 handled, 1 failed")


def test_a_handler_of_lists_gets_batches(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    environment = handler(
        "from townpost.message import Message\n"
        "def handle(messages: list[Message]):\n"
        "    print('batch of', len(messages), flush=True)\n"
    )
    client.rpush("message_queue", *[wire() for _ in range(9)])
    subscriber = start("subscriber", PATTERN="queue", PREFETCH="4", **environment)

    subscriber.wait_for("batch of 4", count=2)


def test_the_same_id_twice_is_handled_twice_and_said(start: Start, client: redis.Redis) -> None:
    message = wire("twin")
    client.rpush("message_queue", message, message)
    subscriber = start("subscriber", PATTERN="queue")

    subscriber.wait_for("duplicate id")
    subscriber.wait_for("twin", "from queue", count=2)


def test_a_reader_that_goes_away_ends_it_with_one_line(server: Server, client: redis.Redis) -> None:
    client.rpush("message_queue", wire())
    with subprocess.Popen(
        [sys.executable, "-m", "subscriber"],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATTERN": "queue"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as subscriber:
        assert subscriber.stdout is not None
        subscriber.stdout.readline()
        subscriber.stdout.close()

        client.rpush("message_queue", wire())
        _, errors = subscriber.communicate(timeout=30)

    assert subscriber.returncode == 1
    assert "cannot write to standard output" in errors
    assert "Traceback" not in errors


def test_a_second_signal_ends_a_handler_that_hangs(
    start: Start, client: redis.Redis, handler: Callable[[str], dict[str, str]]
) -> None:
    environment = handler("import time\ndef handle(message):\n    print('stalled', flush=True)\n    time.sleep(3600)\n")
    client.rpush("message_queue", wire())
    subscriber = start("subscriber", PATTERN="queue", **environment)
    subscriber.wait_for("stalled")

    subscriber.signal(signal.SIGTERM)
    subscriber.wait_for("waiting for what is in flight")
    subscriber.signal(signal.SIGTERM)

    assert subscriber.wait() == -signal.SIGTERM
