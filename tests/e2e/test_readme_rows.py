"""Each row of the README's first table, with processes; tests/compose runs them as they stand there."""

import re

import pytest
import redis
from conftest import Start

from lab.processes import ROOT, Process
from lab.server import Server

README = (ROOT / "README.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()
FAST = {"PATTERN": "both", "PUBLISH_INTERVAL": "0.1"}


def _numbers(process: Process, *words: str) -> set[int]:
    lines = process.matching(*words)
    return {int(found[1]) for line in lines if (found := re.search(r"#(\d+)", line))}


def _printed(process: Process, source: str) -> set[int]:
    return _numbers(process, "Hello from Python", f"from {source}]")


def _row(command: str) -> list[str]:
    """The cells of the row of this command."""
    (line,) = [line for line in README.splitlines() if line.startswith(f"| `{command}")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_first_screen_names_the_commands_that_ci_runs() -> None:
    first = README[: README.index("You see each message twice")]

    for command in ("make demo", "make test"):
        assert command in first
        assert re.search(rf"^{command}\b", CI, re.MULTILINE)
    assert "docker compose up --build" in first


@pytest.mark.parametrize(("pattern", "other"), [("queue", "pub-sub"), ("pubsub", "queue")])
def test_pattern_chooses_one_path(start: Start, pattern: str, other: str) -> None:
    assert _row("PATTERN=queue docker compose up")[1] == "one path at a time"
    subscriber = start("subscriber", PATTERN=pattern)
    subscriber.wait_for("connected to Redis")

    start("publisher", "--count", "5", "--interval", "0", PATTERN=pattern).wait()

    subscriber.wait_for("Hello from Python", count=5)
    assert not _printed(subscriber, other)


def test_of_three_subscribers_all_get_a_publication_and_one_gets_a_queued_message(start: Start) -> None:
    assert _row("docker compose up --scale subscriber=3")[1:] == ["all three print each message", "exactly one does"]
    subscribers = [start("subscriber") for _ in range(3)]
    for subscriber in subscribers:
        subscriber.wait_for("connected to Redis", count=2)

    start("publisher", "--count", "20", "--interval", "0.01").wait()

    for subscriber in subscribers:
        subscriber.wait_for("from pub-sub]", count=20)
    for subscriber in subscribers:
        subscriber.stop()
    queued = [number for subscriber in subscribers for number in _printed(subscriber, "queue")]
    assert sorted(queued) == list(range(1, 21))


def test_what_was_sent_while_the_subscriber_was_stopped_is_gone_or_waited(start: Start) -> None:
    assert _row("docker compose stop subscriber")[1:] == ["what was sent meanwhile is gone", "it was waiting"]
    publisher = start("publisher", **FAST)
    subscriber = start("subscriber")
    subscriber.wait_for("from pub-sub]")
    subscriber.stop()
    first = max(_numbers(publisher, "sent #"))

    publisher.wait_for(f"sent #{first + 10} to list")
    again = start("subscriber")
    again.wait_for("from pub-sub]", count=3)

    meanwhile = set(range(first + 2, first + 10))
    assert meanwhile <= _printed(again, "queue")
    assert not meanwhile & _printed(again, "pub-sub")


def test_a_restart_of_redis_makes_the_publisher_wait_and_loses_no_queued_message(
    start: Start, own_server: Server
) -> None:
    # Given both at work
    pubsub, queue = _row("docker compose restart redis")[1:]
    assert pubsub == "the publisher waits; what it sends before a subscriber is back is lost, and named"
    assert queue == "the publisher waits; nothing acknowledged is lost"
    publisher = start("publisher", url=own_server.url, **FAST)
    subscriber = start("subscriber", url=own_server.url)
    subscriber.wait_for("from queue]", count=3)

    # When Redis restarts
    own_server.stop()
    publisher.wait_for("WARNING", "no Redis at")  # not that nobody listened yet
    own_server.start()
    publisher.wait_for("Redis is back after")
    subscriber.wait_for("Redis is back after", count=2)

    # Then every number that was sent is printed from the queue, and what pub/sub lost is named
    last = max(_numbers(publisher, "sent #"))
    subscriber.wait_for(f"#{last + 3} ", "from queue]")
    subscriber.wait_for(f"#{last + 3} ", "from pub-sub]")
    assert _printed(subscriber, "queue") >= set(range(1, last + 4))
    heard = _printed(subscriber, "pub-sub")
    lost = set(range(min(heard), last + 4)) - heard
    assert not lost or subscriber.matching("WARNING", f"#{min(lost)}")


@pytest.mark.parametrize(("pattern", "handed_over"), [("reliable", True), ("stream", True), ("queue", False)])
def test_the_work_of_a_killed_subscriber_is_handed_over_but_on_queue(
    start: Start, client: redis.Redis, pattern: str, *, handed_over: bool
) -> None:
    assert "PATTERN=all HANDLER=examples.slow:slow LEASE_SECONDS=3 docker compose up --scale subscriber=3" in README
    settings = {"PATTERN": pattern, "HANDLER": "examples.slow:slow", "LEASE_SECONDS": "1"}
    killed, other = start("subscriber", **settings), start("subscriber", **settings)
    for subscriber in (killed, other):
        subscriber.wait_for("connected to Redis")

    # Given one message at work with each of them
    names = iter(range(1, 100))
    while not (killed.matching("begun") and other.matching("begun")):
        text = f"text {next(names)}"
        start("publisher", text, PATTERN=pattern).wait()
    text = killed.matching("begun")[-1].removeprefix("begun ")
    assert not killed.matching("done ", text)

    killed.kill()

    if handed_over:
        other.wait_for("begun", text)
        other.wait_for("done ", text)
    else:
        other.wait_for("done")
        assert not other.matching("begun", text)
        waiting = client.lrange("message_queue", 0, -1)
        assert not [payload for payload in waiting if text in str(payload)]
