"""Each consumer group of a stream gets everything, its members share it, and who is a member is kept tidy."""

import time

import pytest
import redis
import stream_driver
from driver import messages
from messages import wire
from stream_driver import GROUP, Consumer, MakeConsumer, S, entries, ids, pending

from lab.server import Server
from townpost.errors import SettingError, UnavailableError
from townpost.message import Message
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

consumer = stream_driver.consumer
publisher = stream_driver.publisher


def members(client: redis.Redis) -> set[str]:
    return {fields["name"].decode() for fields in client.xinfo_consumers(S, GROUP)}


def test_what_is_acknowledged_is_no_longer_pending_and_stays_readable(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("a", "b", "c"))

    assert consumer().handle() == ["a", "b", "c"]

    assert pending(client) == 0
    assert client.xlen(S) == 3


def test_the_wire_format_gains_no_byte(publisher: Publisher, client: redis.Redis) -> None:
    message = Message.create("a")
    (receipt,) = publisher.send([message])

    ((entry_id, fields),) = entries(client)
    assert fields == {b"message": message.encode()}
    assert receipt.said == f"stream '{S}': id {entry_id}"


def test_any_program_can_fill_the_stream(consumer: MakeConsumer, client: redis.Redis) -> None:
    client.xadd("elsewhere", {"message": wire("from elsewhere"), "more": "that is ignored"})

    assert consumer(stream="elsewhere").handle() == ["from elsewhere"]


def test_each_group_gets_everything(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    first, second = consumer(consumer_group="first"), consumer(consumer_group="second")
    publisher.send(messages("a", "b"))

    assert first.handle() == second.handle() == ["a", "b"]
    assert pending(client, "first") == pending(client, "second") == 0


def test_members_of_a_group_share(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages(*"abcd"))
    one, other = consumer(), consumer()

    assert one.handle(limit=2) == ["a", "b"]
    assert other.handle(limit=2) == ["c", "d"]
    assert one.handle(seconds=0) == other.handle(seconds=0) == []


def test_a_new_group_starts_where_it_is_told(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    # Given three groups that start at the beginning, after the first entry, and now
    publisher.send(messages("a", "b"))
    after_the_first = ids(client)[0]
    starts = [consumer(consumer_group=start, stream_start=start) for start in ("beginning", after_the_first, "now")]

    publisher.send(messages("c"))

    assert [one.handle() for one in starts] == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_group_that_exists_goes_on_where_it_was(consumer: MakeConsumer, publisher: Publisher) -> None:
    publisher.send(messages("a"))
    first = consumer()
    assert first.handle() == ["a"]
    first.listener.close()
    publisher.send(messages("b"))

    assert consumer(stream_start="now").handle() == ["b"]


def test_a_start_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="STREAM_START"):
        Settings.read(stream_start="yesterday")


def test_a_consumer_that_leaves_is_removed_unless_it_holds_messages(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given one that has handled everything, and one that has not
    publisher.send(messages("a", "b"))
    done, holding = consumer(lease_seconds=30), consumer(lease_seconds=30)
    done.handle(limit=1)
    holding.take()
    assert members(client) == {done.name, holding.name}

    done.listener.close()
    holding.listener.close()

    assert members(client) == {holding.name}
    assert pending(client) == 1


def test_consumers_not_seen_for_an_hour_are_removed_by_the_next(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two that went without a word, one of them with a message; and hours that pass quickly
    publisher.send(messages("a"))
    monkeypatch.setattr("townpost.patterns.stream.listener._GONE_MS", 100)
    client.xgroup_create(S, GROUP, id="0")
    client.xgroup_createconsumer(S, GROUP, "idle")
    client.xreadgroup(GROUP, "holding", {S: ">"})
    time.sleep(0.2)

    consumer(lease_seconds=30)

    assert members(client) == {"holding"}


def test_a_group_that_began_now_is_made_anew_from_the_beginning(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a reader from now on, and a Redis that forgets everything
    one = consumer(stream_start="now")
    client.flushall()
    publisher.send(messages("in between"))

    with pytest.raises(UnavailableError):
        one.take()
    one.listener.open()

    assert one.handle() == ["in between"]


def test_a_reader_comes_back_to_a_redis_that_is_full(own_server: Server) -> None:
    settings = Settings.read(redis_url=own_server.url, pattern="stream")
    with redis.Redis(port=own_server.port) as client, Publisher(settings=settings) as publisher:
        one = Consumer(own_server.url)
        publisher.send(messages("a"))
        client.config_set("maxmemory", "1")

        one.listener.open()

        assert one.handle() == ["a"]
        one.listener.close()
