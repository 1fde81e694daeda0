"""The publisher as a user starts it."""

import json
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import redis
from conftest import Start
from messages import wire

from lab.processes import ROOT
from lab.server import Server


def test_it_greets_on_both_patterns_and_says_what_redis_answered(start: Start, client: redis.Redis) -> None:
    publisher = start("publisher", PUBLISH_INTERVAL="0.1")

    publisher.wait_for("sent #2 to channel 'messages': nobody is listening, it is gone")
    publisher.wait_for("sent #2 to list 'message_queue': length 2")
    message = json.loads(client.lindex("message_queue", 0) or b"")
    assert message["message"] == "Hello from Python #1"
    assert message["sender"] == "python-publisher"
    assert message["count"] == 1
    assert set(message) == {"id", "timestamp", "message", "sender", "count", "epoch"}


def test_it_counts_the_receivers(start: Start, client: redis.Redis) -> None:
    with client.pubsub() as listener:
        listener.subscribe("messages")
        listener.get_message(timeout=5)

        publisher = start("publisher", "hi", PATTERN="pubsub")

        publisher.wait_for("sent #1 to channel 'messages': 1 receiver")


def test_a_message_is_stamped_when_it_is_sent(start: Start, client: redis.Redis) -> None:
    start("publisher", PUBLISH_INTERVAL="0.5", PATTERN="queue").wait_for("sent #3")

    first, second = (json.loads(raw)["timestamp"] for raw in client.lrange("message_queue", 0, 1))
    gap = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    assert timedelta(seconds=0.4) < gap < timedelta(seconds=0.9)


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_cleanly(start: Start, number: int) -> None:
    # Given a publisher in the middle of a long interval
    publisher = start("publisher", PUBLISH_INTERVAL="3600")
    publisher.wait_for("sent #1 to list")

    started = time.monotonic()
    publisher.signal(number)

    assert publisher.wait() == 0
    assert time.monotonic() - started < 1
    assert publisher.matching("total on queue: 1")


def test_a_text_is_sent_once(start: Start, client: redis.Redis) -> None:
    publisher = start("publisher", "good morning", PATTERN="queue")

    assert publisher.wait() == 0
    assert [json.loads(raw)["message"] for raw in client.lrange("message_queue", 0, -1)] == ["good morning"]


def test_a_bulk_run_sends_everything_in_order_and_says_the_rate(start: Start, client: redis.Redis) -> None:
    publisher = start("publisher", "--count", "2345", "--interval", "0", PATTERN="queue")

    assert publisher.wait() == 0
    counts = [json.loads(raw)["count"] for raw in client.lrange("message_queue", 0, -1)]
    assert counts == list(range(1, 2346))
    assert publisher.matching("total: 2,345 messages acknowledged", "/s)")


def test_json_lines_of_a_file_are_sent(start: Start, client: redis.Redis, tmp_path: Path) -> None:
    # Given a whole message, parts of one, and a plain string
    whole = wire("whole", count=7, sender="elsewhere")
    source = tmp_path / "messages.jsonl"
    source.write_bytes(whole + b'\n{"message": "part", "data": {"a": null}}\n\n"text"')

    publisher = start("publisher", "--file", str(source), PATTERN="queue")

    assert publisher.wait() == 0
    first, second, third = (json.loads(raw) for raw in client.lrange("message_queue", 0, -1))
    assert first == json.loads(whole)
    assert (second["message"], second["data"], second["sender"]) == ("part", {"a": None}, "python-publisher")
    assert (third["message"], third["count"]) == ("text", 2)


def test_lines_that_are_no_messages_are_named_and_the_rest_is_sent(
    start: Start, client: redis.Redis, tmp_path: Path
) -> None:
    source = tmp_path / "messages.jsonl"
    source.write_text('"one"\nnot json\n[1]\n{"message": "x", "count": "5"}\n"two"\n')

    publisher = start("publisher", "--file", str(source), PATTERN="queue")

    assert publisher.wait() == 1
    assert [line.split("line ")[1][0] for line in publisher.matching("is not a message")] == ["2", "3", "4"]
    assert client.llen("message_queue") == 2


def test_standard_input_is_sent_as_it_comes(server: Server, client: redis.Redis) -> None:
    # Given a publisher that reads a pipe
    publisher = subprocess.Popen(
        [sys.executable, "-m", "publisher", "--file", "-", "--pattern", "queue"],
        cwd=ROOT,
        env={"REDIS_URL": server.url, "PATH": ""},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert publisher.stdin is not None

    # When one line is written and the pipe stays open
    publisher.stdin.write(b'"first"\n')
    publisher.stdin.flush()

    # Then it is sent already
    assert client.blpop(["message_queue"], timeout=10) is not None
    publisher.stdin.close()
    assert publisher.wait(10) == 0


def test_a_missing_file_is_one_clear_line(start: Start) -> None:
    publisher = start("publisher", "--file", "/nowhere.jsonl")

    assert publisher.wait() == 2
    assert publisher.lines == ["publisher: --file /nowhere.jsonl cannot be opened: No such file or directory"]


def test_a_negative_interval_from_the_command_line_is_named(start: Start) -> None:
    publisher = start("publisher", "hi", "--interval", "-1")

    assert publisher.wait() == 2
    assert len(publisher.matching("PUBLISH_INTERVAL cannot be used")) == 1
