"""RELIABLE_LIMIT: what fits is sent, the wait for room ends, and order is kept whatever the size of a send."""

from pathlib import Path

import pytest
import redis
from conftest import Run, Start
from dead_letter_box import Q
from messages import parsed, wire

from lab.server import Server
from townpost import keys
from townpost.cli.publish.remainder import Remainder
from townpost.errors import FullError
from townpost.message import Message
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings


def publisher(server: Server, **settings: object) -> Publisher:
    return Publisher(settings=Settings.read(redis_url=server.url, pattern="reliable", **settings))


def texts(count: int) -> list[Message]:
    return [Message.create(str(n)) for n in range(count)]


def test_a_file_longer_than_the_limit_is_sent_though_one_message_is_due_tomorrow(
    start: Start, run: Run, tmp_path: Path
) -> None:
    # Given a limit of 100, a message that is due tomorrow and a subscriber
    assert run("publisher", "tomorrow", "--pattern", "reliable", "--delay", "86400").status == 0
    subscriber = start("subscriber", PATTERN="reliable")

    # When 200 lines are sent
    (tmp_path / "lines").write_text("".join(f'"line {n}"\n' for n in range(200)))
    sent = run("publisher", "--file", str(tmp_path / "lines"), "--pattern", "reliable", RELIABLE_LIMIT="100")

    # Then they arrive
    assert sent.status == 0
    assert sent.matching("total: 200 messages acknowledged")
    subscriber.wait_for("line 199")


def test_of_a_list_that_does_not_fit_what_fits_is_sent(start: Start, client: redis.Redis, tmp_path: Path) -> None:
    # Given a queue with one message, which nobody takes
    client.rpush(Q, wire("first"))
    (tmp_path / "lines").write_text("".join(f'"line {n}"\n' for n in range(200)))

    # When 200 lines are sent
    service = start("publisher", "--file", str(tmp_path / "lines"), "--pattern", "reliable", RELIABLE_LIMIT="100")

    # Then the queue is filled up, and the publisher says that it waits
    service.wait_for("the queue is full, 100 messages are waiting")
    assert client.llen(Q) == 100

    # When there is room again
    client.ltrim(Q, 70, -1)
    while client.llen(Q) != 100:
        pass
    client.ltrim(Q, 100, -1)
    assert service.wait() == 0
    assert [parsed(raw).message for raw in client.lrange(Q, 0, -1)][-1] == "line 199"


def test_one_message_is_waiting(server: Server, client: redis.Redis) -> None:
    client.rpush(Q, "one")
    with publisher(server, reliable_limit=2) as limited, pytest.raises(FullError) as refused:
        limited.send(texts(2))

    assert str(refused.value).endswith("the queue is full, 1 message is waiting (RELIABLE_LIMIT)")
    assert refused.value.room == 1


def test_delayed_messages_are_limited_by_all_there_are(server: Server, client: redis.Redis) -> None:
    with publisher(server, reliable_limit=3) as limited:
        limited.send(texts(3), delay=60)
        with pytest.raises(FullError, match="3 messages are waiting"):
            limited.send(texts(1), delay=60)
        limited.send(texts(3))

    assert (client.llen(Q), client.zcard(keys.of(Q).scheduled)) == (3, 3)


@pytest.mark.parametrize("priority", [0, 5])
def test_more_than_ten_thousand_in_one_send_keep_their_order(
    server: Server, client: redis.Redis, priority: int
) -> None:
    client.rpush(Q, "first")
    with publisher(server) as sender:
        sender.send([Message.create(str(n), priority=priority) for n in range(25_000)], delay=None if priority else 60)

    key = keys.of(Q).priority if priority else keys.of(Q).scheduled
    members = [member for member in client.zrange(key, 0, -1) if isinstance(member, bytes)]
    assert [parsed(member[21:]).message for member in members] == [str(n) for n in range(25_000)]


def test_the_remainder_of_a_list_that_some_patterns_have_is_sent_where_it_is_missing() -> None:
    rest = Remainder(texts(10))
    rest.half_sent(("reliable",))

    assert rest.fits(4)
    first = [message.message for message in rest.part]
    rest.sent()
    second = [message.message for message in rest.part]

    assert (first, second, rest.missing) == (list("0123"), list("456789"), ("reliable",))
    rest.sent()
    assert (rest.part, rest.missing) == ([], None)


def test_after_a_part_that_some_patterns_have_the_rest_is_sent_everywhere() -> None:
    rest = Remainder(texts(10))
    rest.fits(4)
    rest.half_sent(("reliable",))
    rest.sent()

    assert (len(rest.part), rest.missing) == (6, None)


@pytest.mark.parametrize("room", [0, 10, 11])
def test_a_part_only_gets_smaller(room: int) -> None:
    assert not Remainder(texts(10)).fits(room)
