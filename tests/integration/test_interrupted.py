"""An exception that comes amid an exchange, at whatever step: the next caller gets its own reply."""

import contextlib
import linecache
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import redis
from messages import wire

from lab.server import Server
from townpost.counts import Counts
from townpost.errors import UnavailableError, WrongTypeError
from townpost.message import Message
from townpost.patterns.pubsub import PubsubListener
from townpost.patterns.queue import QueueListener
from townpost.patterns.reliable.listener import ReliableListener
from townpost.patterns.stream.listener import StreamListener
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings

OURS = tuple(
    f"townpost/{name}.py"
    for name in (
        *("redis/connection", "publishing/publisher", "publishing/rounds", "publishing/numbering"),
        *("patterns/queue", "patterns/pubsub"),
        *("patterns/leased", "patterns/reliable/listener", "patterns/stream/listener"),
    )
)
Q = "message_queue"


class TimeUpError(BaseException):
    """What a signal handler raises."""


class _Interruption:
    def __init__(self, step: int) -> None:
        self.step = step
        self.steps = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - as sys.settrace has it
        if not frame.f_code.co_filename.endswith(OURS):
            return None
        # Python looks for signals after a call, never between the end of a `with` and its lock's release
        if event == "line" and not linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith(
            "with "
        ):
            self.steps += 1
            if self.steps == self.step:
                raise TimeUpError
        return self


@contextmanager
def interrupted(step: int) -> Iterator[_Interruption]:
    """Raises before this line of ours, counted from the first that is run; swallows what was raised."""
    interruption = _Interruption(step)
    before = sys.gettrace()
    sys.settrace(interruption)
    try:
        yield interruption
    except TimeUpError:
        pass
    finally:
        sys.settrace(before)


def at_every_step(action: Callable[[], object], check: Callable[[int], None]) -> None:
    """Interrupt the action at its first step, its second and so on, and check each time."""
    step = 0
    while True:
        step += 1
        with interrupted(step) as interruption:
            action()
        if interruption.steps < step:
            break
        check(step)
    assert step > 10


@pytest.fixture
def settings(server: Server) -> Settings:
    return Settings.read(redis_url=server.url, pattern="queue")


def test_after_an_interrupted_call_each_gets_its_own_reply(server: Server) -> None:
    connection = Connection(server.url)
    connection.connect()

    def check(step: int) -> None:
        if not connection.connected:
            connection.connect()
        assert connection.call("ECHO", str(step)) == str(step).encode()
        assert connection.pipeline([("ECHO", "a"), ("ECHO", step)]) == [b"a", str(step).encode()]

    at_every_step(lambda: connection.pipeline([("ECHO", "x"), ("ECHO", "y")]), check)
    connection.close()


def test_after_an_interrupted_connect_each_gets_its_own_reply(server: Server) -> None:
    connection = Connection(server.url)

    def check(step: int) -> None:
        if not connection.connected:
            connection.connect()
        assert connection.call("ECHO", str(step)) == str(step).encode()

    at_every_step(connection.connect, check)
    connection.close()


def test_after_an_interrupted_send_what_is_reported_is_what_is_stored(settings: Settings, client: redis.Redis) -> None:
    with Publisher(settings=settings) as publisher:

        def send() -> None:
            publisher.send([Message.create("interrupted")])

        def check(step: int) -> None:
            # Then the next one is stored when it is reported as sent
            client.delete(Q)
            sent = Message.create(str(step))
            (receipt,) = publisher.send([sent])
            assert receipt.sent == 1
            assert sent.encode() in client.lrange(Q, 0, -1)

            # and not when it is reported as refused
            client.delete(Q)
            client.set(Q, "a string")
            with pytest.raises(WrongTypeError):
                publisher.send([Message.create("refused")])
            client.delete(Q)
            publisher.send([Message.create("last")])
            assert client.llen(Q) == 1

        at_every_step(send, check)


@pytest.mark.parametrize("backlog", [0, 1, 400])
def test_an_interrupted_wait_takes_nothing_with_it(settings: Settings, client: redis.Redis, backlog: int) -> None:
    # Given a listener that is interrupted while it waits
    listener = QueueListener(settings, Connection(settings.url), Counts())
    listener.open()

    def check(step: int) -> None:
        if not listener._connection.connected:
            listener.open()
        client.delete(Q)
        sent = [wire(f"{step}-{n}") for n in range(3)]
        client.rpush(Q, *sent)
        got: list[bytes] = []
        while client.llen(Q) or listener._asked:
            got += [payload for payload in listener.take(250).payloads if payload in sent]
        assert got == sent
        if backlog:
            client.rpush(Q, *[wire("old") for _ in range(backlog)])

    def take() -> None:
        listener.take(250)

    at_every_step_of_a_wait(take, check, client)
    listener.close()


def at_every_step_of_a_wait(action: Callable[[], object], check: Callable[[int], None], client: redis.Redis) -> None:
    """The same, with a message that ends the wait."""

    def fed() -> None:
        client.rpush(Q, wire("fed"))
        action()

    at_every_step(fed, check)


def test_no_wait_is_left_on_the_server_when_one_is_interrupted(settings: Settings, client: redis.Redis) -> None:
    # Given a listener that waits for messages
    listener = QueueListener(settings, Connection(settings.url), Counts())
    listener.open()

    # When a time limit ends its wait
    def wait(*_: object, **__: object) -> bool:
        while not client.info("clients")["blocked_clients"]:
            pass
        raise TimeUpError

    listener._connection.wait = wait  # type: ignore[method-assign]  # the fault, put where the method was
    with pytest.raises(TimeUpError):
        listener.take(1)

    # Then what is sent next is there for others
    assert client.info("clients")["blocked_clients"] == 0
    client.rpush(Q, "next")
    assert client.lrange(Q, 0, -1) == [b"next"]


def test_what_came_amid_the_interruption_goes_back(settings: Settings, client: redis.Redis) -> None:
    listener = QueueListener(settings, Connection(settings.url), Counts())
    listener.open()

    real = listener._connection.wait

    def wait(*_: object, **__: object) -> bool:
        listener._connection.wait = real  # type: ignore[method-assign]  # the fault, put where the method was
        client.rpush(Q, "taken", "other")
        while client.llen(Q) != 1:
            pass
        raise TimeUpError

    listener._connection.wait = wait  # type: ignore[method-assign]  # the fault, put where the method was
    with pytest.raises(TimeUpError):
        listener.take(1)

    assert client.lrange(Q, 0, -1) == [b"taken", b"other"]


def test_a_subscriber_that_was_interrupted_hears_the_next_one(settings: Settings, client: redis.Redis) -> None:
    listener = PubsubListener(settings, Connection(settings.url), Counts())
    listener.open()

    def take() -> None:
        client.publish("messages", "old")
        listener.take(1)

    def check(step: int) -> None:
        if not listener._connection.connected:
            listener.open()
        client.publish("messages", str(step))
        heard: list[bytes] = []
        while str(step).encode() not in heard:
            heard += listener.take(1).payloads

    at_every_step(take, check)
    listener.close()


def test_an_interrupted_leader_leaves_the_others_an_error_and_no_reply(settings: Settings) -> None:
    with Publisher(settings=settings) as publisher:
        rounds = publisher._read().rounds
        other = rounds.queue([("PING",)])

        def interrupt(*_: object) -> None:
            raise TimeUpError

        rounds._connection.replies = interrupt  # type: ignore[assignment]  # the fault, put where the method was
        with pytest.raises(TimeUpError):
            publisher.send([Message.create("x")])

        with pytest.raises(UnavailableError, match="interrupted"):
            rounds.result(other)
        assert not publisher._read().rounds._connection.connected


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "kind"), [("reliable", ReliableListener), ("stream", StreamListener)])
def test_an_interrupted_take_loses_nothing_where_messages_come_again(
    server: Server, pattern: str, kind: type[ReliableListener | StreamListener]
) -> None:
    # Given a listener whose takes are interrupted, each with messages that are there
    settings = Settings.read(redis_url=server.url, pattern=pattern, lease_seconds=0.3, prefetch=10)
    listener = kind(settings, Connection(server.url), Counts())
    listener.open()
    publisher = Publisher(settings=settings)

    def take() -> None:
        batch = listener.take(10)
        for delivery in batch:
            delivery.ack()
        listener.settle(batch)

    def check(step: int) -> None:
        sent = Message.create(str(step))
        publisher.send([sent])
        deadline = time.monotonic() + 10
        heard: list[str] = []
        while str(step) not in heard:
            assert time.monotonic() < deadline
            if not listener._connection.connected:
                listener.open()
            with contextlib.suppress(UnavailableError):
                batch = listener.take(10)
                for delivery in batch:
                    assert delivery.message is not None
                    heard.append(delivery.message.message)
                    delivery.ack()
                listener.settle(batch)
        publisher.send([Message.create("next")])

    at_every_step(take, check)
    publisher.close()
    listener.close()
