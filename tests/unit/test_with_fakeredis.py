"""Publisher and listeners over a socket, against an imitation of Redis."""

import socket
import threading
from collections.abc import Iterator

import pytest
from fakeredis import TcpFakeServer

from townpost.consuming.listening import listen
from townpost.counts import Counts
from townpost.errors import UnavailableError, UnreadableError, UnsendableError
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.patterns.pubsub import PubsubListener
from townpost.patterns.queue import QueueListener
from townpost.publishing.publisher import Publisher
from townpost.redis.connection import Connection
from townpost.settings import Settings

MESSAGES = [Message.create(f"Grüße #{count}", count=count, data={"a": None}) for count in (1, 2, 3)]


@pytest.fixture
def redis_url() -> Iterator[str]:
    server = TcpFakeServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    connection = Connection(redis_url)
    connection.connect()
    yield connection
    connection.close()


@pytest.fixture
def queue_listener(redis_url: str) -> Iterator[QueueListener]:
    listener = QueueListener(Settings(), Connection(redis_url), Counts())
    listener.open()
    yield listener
    listener.close()


def hear(listener: PubsubListener) -> Batch:
    """The next batch with something in it."""
    while not len(batch := listener.take(1)):
        pass
    return batch


def test_what_is_sent_on_the_queue_is_heard_there_in_order(redis_url: str) -> None:
    settings = Settings(redis_url=redis_url, pattern="queue")
    with Publisher(settings=settings) as publisher:
        publisher.send(MESSAGES)

    stop = threading.Event()
    heard = []
    for delivery in listen("queue", settings=settings, stop=stop):
        heard.append(delivery.message)
        if len(heard) == len(MESSAGES):
            stop.set()

    assert heard == MESSAGES


def test_the_list_holds_the_wire_bytes(redis_url: str, connection: Connection) -> None:
    with Publisher(settings=Settings(redis_url=redis_url, pattern="both")) as publisher:
        publisher.send(MESSAGES)

    assert connection.call("LRANGE", "message_queue", 0, -1) == [message.encode() for message in MESSAGES]


def test_receipts_say_what_redis_answered(redis_url: str) -> None:
    with Publisher(settings=Settings(redis_url=redis_url, pattern="both")) as publisher:
        pubsub, queue = publisher.send(MESSAGES)

    assert (pubsub.pattern, pubsub.sent, pubsub.unheard) == ("pubsub", 3, 3)
    assert (queue.pattern, queue.sent, queue.unheard) == ("queue", 3, 0)
    assert "3" in queue.said


def test_only_the_patterns_asked_for_are_sent_on(redis_url: str, connection: Connection) -> None:
    with Publisher(settings=Settings(redis_url=redis_url, pattern="both")) as publisher:
        receipts = publisher.send(MESSAGES, on=("pubsub",))

    assert [receipt.pattern for receipt in receipts] == ["pubsub"]
    assert connection.call("EXISTS", "message_queue") == 0


def test_a_message_over_the_limit_is_refused_before_anything_is_sent(redis_url: str, connection: Connection) -> None:
    small = Settings(redis_url=redis_url, pattern="queue", max_message_bytes=500)
    with Publisher(settings=small) as publisher, pytest.raises(UnsendableError, match="MAX_MESSAGE_BYTES"):
        publisher.send([MESSAGES[0], Message.create("x" * 500)])

    assert connection.call("EXISTS", "message_queue") == 0


@pytest.mark.parametrize("channel", ["messages", "messages.*"], ids=["channel", "glob"])
def test_a_subscriber_hears_what_is_published(redis_url: str, connection: Connection, channel: str) -> None:
    listener = PubsubListener(Settings(channel=channel), Connection(redis_url), Counts())
    listener.open()

    receivers = connection.call("PUBLISH", channel.replace("*", "news"), MESSAGES[0].encode())
    batch = hear(listener)
    listener.close()

    assert receivers == 1
    assert [delivery.message for delivery in batch] == MESSAGES[:1]


def test_what_cannot_be_read_is_delivered_with_its_problem(
    connection: Connection, queue_listener: QueueListener
) -> None:
    connection.call("RPUSH", "message_queue", b"\xff\x00")

    (delivery,) = queue_listener.take(10)

    assert delivery.message is None
    assert isinstance(delivery.problem, UnreadableError)
    assert delivery.raw == b"\xff\x00"


def test_a_batch_not_begun_goes_back_to_the_head_in_order(
    connection: Connection, queue_listener: QueueListener
) -> None:
    payloads = [message.encode() for message in MESSAGES]
    connection.call("RPUSH", "message_queue", payloads[-1])
    batch = Batch("queue", payloads[:-1])

    next(iter(batch))
    queue_listener.settle(batch)

    assert connection.call("LRANGE", "message_queue", 0, -1) == payloads[1:]


def test_an_empty_queue_is_an_empty_batch(queue_listener: QueueListener) -> None:
    assert len(queue_listener.take(10)) == 0


def test_where_nobody_listens_the_error_says_where_and_no_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(UnavailableError, match=rf"redis://127\.0\.0\.1:{port}") as caught:
        Connection(f"redis://me:hush@127.0.0.1:{port}").connect()

    assert "hush" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_link_that_is_not_connected_says_so(redis_url: str) -> None:
    with pytest.raises(UnavailableError, match="not connected"):
        Connection(redis_url).call("PING")
