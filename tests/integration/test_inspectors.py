"""Every pattern answers the same questions about its channel, list or stream."""

import pytest
import redis
from messages import wire

from lab.server import Server
from townpost import (
    PATTERNS,
    Connection,
    Inspector,
    Message,
    Publisher,
    Question,
    SettingError,
    Settings,
    ask,
    inspector,
)

GROUP = "house"


def of(pattern: str) -> Inspector:
    return inspector(pattern, "orders", group=GROUP, lease_seconds=30)


def publish(server: Server, pattern: str, *texts: str, delay: float | None = None) -> None:
    settings = Settings.read(redis_url=server.url, pattern=pattern, **{PATTERNS[pattern].setting.lower(): "orders"})
    with Publisher(settings=settings, report=False) as publisher:
        publisher.send([Message.create(text) for text in texts], delay=delay)


DURABLE = [name for name, pattern in PATTERNS.items() if pattern.guarantees.durable]


@pytest.mark.parametrize("pattern", DURABLE)
def test_what_waits_is_counted(server: Server, connection: Connection, pattern: str) -> None:
    publish(server, pattern, "one", "two")
    question = Question(of(pattern).depths())

    ask(connection, [question])

    (depth,) = question.answer.values()
    assert depth.depth == 2
    assert depth.oldest is not None


def test_a_channel_has_listeners_and_no_depth(connection: Connection, client: redis.Redis) -> None:
    with client.pubsub() as listener:
        listener.subscribe("orders")
        listener.get_message(timeout=5)
        question = Question(of("pubsub").depths())

        ask(connection, [question])

    assert (question.answer[""].listeners, question.answer[""].depth) == (1, None)


@pytest.mark.parametrize("pattern", DURABLE)
def test_what_waits_is_read_whole_and_in_order(server: Server, connection: Connection, pattern: str) -> None:
    publish(server, pattern, "one", "two")

    payloads = of(pattern).payloads(connection)

    assert [Message.model_validate_json(payload).message for payload in payloads] == ["one", "two"]


def test_a_channel_keeps_nothing_to_read(connection: Connection) -> None:
    with pytest.raises(SettingError, match="keeps nothing"):
        of("pubsub").payloads(connection)


def test_many_questions_share_their_round_trips(connection: Connection, client: redis.Redis) -> None:
    client.rpush("orders", wire())
    questions = [Question(of("queue").depths()) for _ in range(5)]

    ask(connection, questions)

    assert [question.answer[""].depth for question in questions] == [1] * 5


def test_what_is_scheduled_is_handed_out_at_once(server: Server, connection: Connection) -> None:
    # Given a message that is due in an hour
    publish(server, "reliable", "later", delay=3600)
    queue = of("reliable")
    (message,) = queue.scheduled(connection, 0, 10).rows

    # When it is handed out by its name
    assert queue.reschedule(connection, "now", [message.member]) == 1

    # Then it is due
    (message,) = queue.scheduled(connection, 0, 10).rows
    assert message.due < 10


@pytest.mark.parametrize("pattern", [name for name, one in PATTERNS.items() if not one.guarantees.schedules])
def test_where_nothing_is_scheduled_by_name_nothing_is_rescheduled(connection: Connection, pattern: str) -> None:
    with pytest.raises(SettingError, match="choose reliable"):
        of(pattern).reschedule(connection, "now", ["1-abc"])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_empty_place_has_nothing_in_flight(connection: Connection, pattern: str) -> None:
    assert of(pattern).in_flight(connection, 0, 10).rows == []
    assert of(pattern).scheduled(connection, 0, 10).total == 0
