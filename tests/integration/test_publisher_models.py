"""What `send` takes besides messages: pydantic models, another name to send to, and a time for which it tries again."""

import threading
import time
from uuid import UUID, uuid4

import pytest
import redis
from messages import parsed
from pydantic import BaseModel, RootModel, field_serializer

from lab.proxy import Proxy
from lab.server import Server
from townpost.errors import SettingError, UnavailableError, UnsendableError, WrongTypeError
from townpost.message import Message
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

Q = "message_queue"


class Order(BaseModel):
    number: int
    customer: UUID | None = None


class Listed(RootModel[list[int]]):
    pass


class Broken(BaseModel):
    value: float = 1.0

    @field_serializer("value")
    def fail(self, value: float) -> str:
        raise ValueError(f"not today: {value}")


def publisher(url: str, pattern: str = "queue", **settings: object) -> Publisher:
    return Publisher(settings=Settings.read(redis_url=url, pattern=pattern, **settings), report=False)


def stored(client: redis.Redis, queue: str = Q) -> list[Message]:
    return [parsed(raw) for raw in client.lrange(queue, 0, -1)]


def test_one_message_needs_no_list(server: Server, client: redis.Redis) -> None:
    message = Message.create("x")
    with publisher(server.url) as sending:
        assert sending.send(message)[0].sent == 1

    assert stored(client) == [message]


def test_a_model_is_the_data_of_a_message_of_its_type(server: Server, client: redis.Redis) -> None:
    customer = uuid4()
    with publisher(server.url, sender="shop") as sending:
        sending.send(Order(number=7, customer=customer))

    (message,) = stored(client)
    assert message.data == {"number": 7, "customer": str(customer)}
    assert (message.type, message.message, message.sender) == ("Order", "Order", "shop")


def test_a_model_is_labelled_as_its_sender_says(server: Server, client: redis.Redis) -> None:
    with publisher(server.url, "reliable") as sending:
        sending.send(Order(number=1), type="order.placed", key="customer 3", priority=5, id=UUID(int=1))
        sending.send([Order(number=2), Order(number=3)], key="customer 3")

    first, second, third = stored(client, "reliable_queue")
    assert (first.type, first.message) == ("order.placed", "order.placed")
    assert (first.key, first.priority, first.id) == ("customer 3", 5, UUID(int=1))
    assert [(message.data, message.key) for message in (second, third)] == [
        ({"number": 2, "customer": None}, "customer 3"),
        ({"number": 3, "customer": None}, "customer 3"),
    ]


@pytest.mark.parametrize("pattern", ["queue", "reliable", "stream"])
def test_messages_go_to_the_name_given(server: Server, client: redis.Redis, pattern: str) -> None:
    with publisher(server.url, pattern) as sending:
        receipts = sending.send([Message.create("x"), Message.create("y")], to="orders")
        sending.send(Order(number=1), to="orders")

    assert "'orders'" in receipts[0].said
    assert client.keys("*") == [b"orders"]
    assert (client.xlen if pattern == "stream" else client.llen)("orders") == 3


def test_a_name_given_is_also_a_channel(server: Server, client: redis.Redis) -> None:
    with client.pubsub() as listening, publisher(server.url, "both") as sending:
        listening.subscribe("orders")
        listening.get_message(timeout=5)

        sending.send(Message.create("x"), to="orders")

        heard = listening.get_message(timeout=5)
    assert heard is not None
    assert parsed(heard["data"]).message == "x"
    assert [message.message for message in stored(client, "orders")] == ["x"]


def test_each_name_has_numbers_of_its_own(server: Server, client: redis.Redis) -> None:
    with publisher(server.url) as sending:
        for to in ("orders", None, "orders", Q):
            sending.send(Message.create("x"), to=to)

    assert [message.count for message in stored(client, "orders")] == [1, 2]
    assert [message.count for message in stored(client)] == [1, 2]


def test_names_without_end_fill_no_memory(server: Server) -> None:
    with publisher(server.url, "pubsub") as sending:
        for n in range(3000):
            sending.send(Message.create("x"), to=f"user {n}")

        destinations = sending._read().core.destinations
        assert len(destinations._made) <= 1000
        assert len(destinations._senders) <= 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"to": ""}, "to='' cannot be used"),
        ({"to": "\ud800"}, "to="),
        ({"to": "{orders"}, "hash tag"),
        ({"priority": 12}, "priority=12 cannot be used"),
        ({"key": "x" * 300}, "key="),
        ({"type": ""}, "type='' cannot be used"),
        ({"id": "5"}, "id='5' cannot be used: it is no UUID"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(server: Server, arguments: dict[str, object], words: str) -> None:
    with publisher(server.url, "reliable") as sending, pytest.raises(SettingError, match=words) as caught:
        sending.send(Order(number=1), **arguments)  # type: ignore[arg-type]  # that is the point

    assert str(caught.value).isprintable()


@pytest.mark.parametrize("given", ["text", {"number": 1}, 5, [Message.create("x"), "text"], Listed([1]), Broken()])
def test_what_is_no_message_is_not_sent(server: Server, client: redis.Redis, given: object) -> None:
    with publisher(server.url) as sending, pytest.raises(UnsendableError) as caught:
        sending.send(given)  # type: ignore[arg-type]  # that is the point

    assert str(caught.value).isprintable()
    assert client.keys("*") == []


def test_a_message_keeps_its_own_labels(server: Server) -> None:
    with publisher(server.url) as sending:
        with pytest.raises(SettingError, match="a Message has its own"):
            sending.send(Message.create("x"), key="k")
        with pytest.raises(SettingError, match="id= names one message"):
            sending.send([Order(number=1), Order(number=2)], id=uuid4())


def test_one_name_is_not_that_of_two_keys(server: Server) -> None:
    with publisher(server.url, "queue,stream") as sending:
        with pytest.raises(SettingError, match="choose one of them with on="):
            sending.send(Message.create("x"), to="orders")

        assert sending.send(Message.create("x"), to="orders", on=["stream"])[0].pattern == "stream"


def test_within_its_time_a_lost_reply_repeats_the_same_message(server: Server, client: redis.Redis) -> None:
    with Proxy(server.port) as proxy, publisher(proxy.url) as sending:
        proxy.swallow(b"RPUSH", times=2)

        sending.send(Order(number=1), timeout=10)

    first, *again = (message.encode() for message in stored(client))
    assert again == [first] * 2


def test_without_a_time_a_lost_reply_is_said_at_once(server: Server, client: redis.Redis) -> None:
    with Proxy(server.port) as proxy, publisher(proxy.url) as sending:
        proxy.swallow(b"RPUSH")
        with pytest.raises(UnavailableError) as caught:
            sending.send([Order(number=1), Order(number=2)])

        # When what the error holds is sent again
        sending.send(caught.value.messages)

    first, second, *again = (message.encode() for message in stored(client))
    assert again == [first, second]


def test_when_its_time_is_up_it_says_what_was_not_acknowledged() -> None:
    sending = publisher("redis://127.0.0.1:1")
    message = Message.create("x")
    began = time.monotonic()

    with pytest.raises(UnavailableError, match="connection refused") as caught:
        sending.send(message, timeout=0.5)

    assert 0.5 <= time.monotonic() - began < 2
    assert caught.value.messages == (message,)


def test_a_server_that_becomes_ready_in_time_gets_the_message(server: Server, client: redis.Redis) -> None:
    # Given a server that takes no writes, until it was asked
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    asked = threading.Event()
    sending = publisher(server.url)
    receipts = sending._read().core.receipts

    def seen(*arguments: object) -> object:
        asked.set()
        return receipts(*arguments)  # type: ignore[arg-type]  # as they came

    sending._read().core.receipts = seen  # type: ignore[assignment, method-assign]  # the fault, put where the method was

    def mend() -> None:
        asked.wait(10)
        client.execute_command("REPLICAOF", "NO", "ONE")

    mending = threading.Thread(target=mend)
    mending.start()
    try:
        sending.send(Message.create("patient"), timeout=20)
    finally:
        asked.set()
        mending.join()
        sending.close()

    assert [message.message for message in stored(client)] == ["patient"]


def test_a_refusal_is_final_whatever_the_time(server: Server, client: redis.Redis) -> None:
    client.set("text", "a string")
    with publisher(server.url) as sending, pytest.raises(WrongTypeError, match="another type"):
        sending.send(Message.create("x"), to="text", timeout=20)
