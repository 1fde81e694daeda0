"""The consumer with a loop of its own handles what comes, and ends as it should when the body of its loop raises."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.processes import Process
from lab.server import Server
from lab.trials.poison import RAISED
from townpost.message import Message
from townpost.redis.connection import Connection

PATTERN = pytest.mark.parametrize("pattern", ["queue", "reliable"])
QUEUES = {"queue": "message_queue", "reliable": "reliable_queue"}
Starting = Callable[..., Process]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(appendfsync=None) as server:
        yield server


@pytest.fixture
def starting(server: Server, tmp_path: Path) -> Iterator[Starting]:
    """How to start the loop on a pattern, with more of its environment."""
    started: list[Process] = []

    def start(pattern: str, **environment: str) -> Process:
        given = {"REDIS_URL": server.url, "PATTERN": pattern, "JOURNAL": str(tmp_path), "LISTENER": "a", **environment}
        started.append(Process("lab.trials.loop", environment=given))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def send(server: Server, pattern: str, *messages: Message) -> None:
    connection = Connection(server.url)
    connection.connect()
    connection.call("RPUSH", QUEUES[pattern], *(message.encode() for message in messages))
    connection.close()


@PATTERN
def test_the_loop_handles_what_comes_and_ends_in_good_order(
    server: Server, starting: Starting, tmp_path: Path, pattern: str
) -> None:
    messages = [Message.create(word) for word in ("one", "two")]
    process = starting(pattern)
    process.wait_for("connected")

    send(server, pattern, *messages)

    (journal,) = tmp_path.glob("*.journal")
    while journal.read_text().count("done") < 2:
        assert process.status is None
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    assert [line.split()[1] for line in journal.read_text().splitlines() if line.startswith("done")] == [
        str(message.id) for message in messages
    ]


@PATTERN
def test_an_exception_in_the_body_ends_the_process_with_a_status_of_its_own(
    server: Server, starting: Starting, pattern: str
) -> None:
    process = starting(pattern, RAISES="1")

    send(server, pattern, Message.create("one"))

    assert process.wait() == RAISED
    assert process.matching("the loop ended")
    assert not process.matching("Traceback")
