"""Publishing from Python on a real server: one MULTI, and which half failed."""

import pytest
import redis

from lab.server import Server
from townpost.errors import FullError, HalfSentError, SettingError, UnavailableError, UnsendableError, WrongTypeError
from townpost.message import Message
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings


def _settings(server: Server, pattern: str = "both") -> Settings:
    return Settings.read(redis_url=server.url, pattern=pattern)


def test_two_patterns_share_one_multi(server: Server, client: redis.Redis) -> None:
    with Publisher(settings=_settings(server)) as publisher:
        client.config_resetstat()
        publisher.send([Message.create(str(n)) for n in range(10)])

    stats = client.info("commandstats")
    calls = {name: stats[f"cmdstat_{name}"]["calls"] for name in ("multi", "rpush", "publish")}
    assert calls == {"multi": 1, "rpush": 1, "publish": 10}


def test_a_pattern_that_is_given_beside_settings_counts(server: Server, client: redis.Redis) -> None:
    with Publisher("reliable", settings=_settings(server, "both")) as publisher:
        publisher.send(Message.create("hi"))

    assert client.llen("reliable_queue") == 1
    assert not client.exists("message_queue")


def test_the_half_that_redis_refused_is_named_and_can_be_sent_alone(server: Server, client: redis.Redis) -> None:
    client.set("message_queue", "a string")
    messages = [Message.create("hi")]
    with Publisher(settings=_settings(server)) as publisher:
        with pytest.raises(HalfSentError) as caught:
            publisher.send(messages)
        client.delete("message_queue")

        receipts = publisher.send(messages, on=caught.value.missing)

    assert caught.value.missing == ("queue",)
    assert [receipt.pattern for receipt in caught.value.receipts] == ["pubsub"]
    assert [receipt.pattern for receipt in receipts] == ["queue"]


def test_one_pattern_alone_raises_what_redis_refused(server: Server, client: redis.Redis) -> None:
    client.set("message_queue", "a string")

    with Publisher(settings=_settings(server, "queue")) as publisher, pytest.raises(WrongTypeError, match="QUEUE="):
        publisher.send([Message.create("hi")])


def test_a_message_over_the_limit_is_not_sent(server: Server, client: redis.Redis) -> None:
    with Publisher(settings=_settings(server)) as publisher, pytest.raises(UnsendableError, match="MAX_MESSAGE_BYTES"):
        publisher.send([Message.create("ok"), Message.create("x" * 1024 * 1024)])

    assert client.llen("message_queue") == 0


def test_a_full_server_refuses_all_or_nothing(own_server: Server) -> None:
    with redis.Redis(port=own_server.port) as client, Publisher(settings=_settings(own_server)) as publisher:
        client.config_set("maxmemory", "1")

        with pytest.raises(Exception, match="nothing was sent on pubsub, queue: Redis is full"):
            publisher.send([Message.create("hi")])


def test_without_a_server_it_says_where_it_looked() -> None:
    settings = Settings.read(redis_url="redis://127.0.0.1:1")

    with pytest.raises(UnavailableError, match=r"no Redis at redis://127\.0\.0\.1:1: connection refused"):
        Publisher(settings=settings).open()


def test_an_unknown_pattern_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="PATTERN"):
        Publisher("pigeon")


def test_a_stream_takes_all_of_a_list_or_nothing_when_redis_fills_up_amid_it(own_server: Server) -> None:
    with (
        redis.Redis(port=own_server.port) as client,
        Publisher(settings=_settings(own_server, "stream")) as publisher,
    ):
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 1_000_000)

        with pytest.raises(FullError):
            publisher.send([Message.create("x" * 10_000) for _ in range(500)])

        assert client.xlen("message_stream") == 0


@pytest.mark.parametrize("pattern", ["stream", "queue,stream"])
def test_a_stream_that_is_refused_more_is_trimmed_all_the_same(own_server: Server, pattern: str) -> None:
    settings = Settings.read(redis_url=own_server.url, pattern=pattern, stream_maxlen=10)
    with redis.Redis(port=own_server.port) as client, Publisher(settings=settings) as publisher:
        for _ in range(2000):
            client.xadd("message_stream", {"message": "old"})
        client.config_set("maxmemory", "1")

        with pytest.raises(FullError):
            publisher.send([Message.create("new")])

        assert client.xlen("message_stream") < 200
