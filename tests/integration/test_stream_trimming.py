"""With STREAM_MAXLEN a stream is cut, but never by what a group has still to handle."""

import pytest
import redis
import stream_driver
from driver import messages
from stream_driver import GROUP, MakeConsumer, S, entries, ids

from lab.proxy import Proxy
from lab.server import Server
from townpost.message import Message
from townpost.publishing.publisher import Publisher
from townpost.receipts import Receipt
from townpost.settings import Settings

consumer = stream_driver.consumer
publisher = stream_driver.publisher


def trimming(server: Server, length: int, *texts: str) -> Receipt:
    """The receipt of a publisher with STREAM_MAXLEN."""
    settings = Settings.read(redis_url=server.url, pattern="stream", stream_maxlen=length)
    with Publisher(settings=settings) as publisher:
        (receipt,) = publisher.send(messages(*texts))
        return receipt


def test_what_all_groups_have_acknowledged_is_trimmed(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages(*["m"] * 1000))
    for group in ("first", "second"):
        assert len(consumer(consumer_group=group).drain(seconds=0.2)) == 1000
    newest = ids(client)[-300:]

    receipt = trimming(server, 300, "one more")

    # Redis cuts whole nodes of at most 100 entries
    assert 300 <= client.xlen(S) <= 400
    assert set(newest[1:]) <= set(ids(client))
    assert receipt.warning == ""


def test_without_a_limit_nothing_is_trimmed(consumer: MakeConsumer, publisher: Publisher, client: redis.Redis) -> None:
    publisher.send(messages(*["m"] * 500))
    consumer().drain(seconds=0.2)

    (receipt,) = publisher.send(messages("one more"))

    assert client.xlen(S) == 501
    assert receipt.warning == ""


def test_a_stream_without_groups_is_trimmed(server: Server, client: redis.Redis) -> None:
    receipt = trimming(server, 300, *["m"] * 1000)

    assert 300 <= client.xlen(S) <= 400
    assert receipt.warning == ""


def test_what_a_group_has_not_read_is_never_trimmed(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a group that has everything, and one that has read nothing yet
    publisher.send(messages(*["m"] * 1000))
    consumer(consumer_group="quick").drain(seconds=0.2)
    consumer(consumer_group="absent")

    receipt = trimming(server, 300, "one more")

    assert client.xlen(S) == 1001
    assert receipt.warning == (
        f"stream '{S}' has 1,001 entries, more than STREAM_MAXLEN=300: group 'absent' has not acknowledged the oldest"
    )


def test_what_a_group_has_in_flight_is_never_trimmed(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a group that handled all but the 501st message
    publisher.send(messages(*["m"] * 1000))
    one = consumer(lease_seconds=30)
    handled = 0
    while handled < 500:
        handled += len(one.handle(limit=500 - handled))
    first, *others = (batch := one.take())
    for delivery in others:
        delivery.ack()
    other = consumer(lease_seconds=30)
    assert len(other.drain()) == 499 - len(others)
    wanted = ids(client)[500:]
    for entry_id in wanted[1:]:
        client.xack(S, GROUP, entry_id)

    receipt = trimming(server, 300, "one more")

    assert set(wanted) <= set(ids(client))
    assert 501 <= client.xlen(S) <= 601
    assert f"group '{GROUP}'" in receipt.warning
    first.ack()
    one.flush(batch)
    assert trimming(server, 300, "and another").warning == ""
    assert 300 <= client.xlen(S) <= 400


def test_trimming_reads_no_entry_and_runs_once_a_second(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a group that has read nothing, and 100 large entries
    settings = Settings.read(redis_url=own_server.url, pattern="stream", stream_maxlen=10)
    with redis.Redis(port=own_server.port) as client, Publisher(settings=settings) as publisher:
        client.xgroup_create(S, GROUP, id="0", mkstream=True)
        client.config_resetstat()

        receipts = [publisher.send([Message.create("x" * 45_000)])[0] for _ in range(100)]

        stats = client.info("commandstats")
        assert stats["cmdstat_eval"]["calls"] <= 3
        assert "cmdstat_xrange" not in stats
        assert client.xlen(S) == 100
        assert all(receipt.sent == 1 for receipt in receipts)

        # And a later one tells who holds it back
        monkeypatch.setattr("townpost.patterns.stream.sender._TRIM_SECONDS", 0)
        only = publisher._read().core.destinations.find(None, None).only
        only._trim_at = 0  # type: ignore[union-attr]  # there is one destination
        (late,) = publisher.send([Message.create("x" * 45_000)])
        assert late.warning == ""  # as many as one node holds are not told of


@pytest.mark.parametrize("how", ["refused", "unanswered"])
def test_a_trim_that_fails_says_nothing_about_what_was_sent(
    server: Server, client: redis.Redis, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("townpost.redis.connection.REPLY_SECONDS", 0.5)
    with Proxy(server.port) as proxy:
        settings = Settings.read(redis_url=proxy.url, pattern="stream", stream_maxlen=10)
        with Publisher(settings=settings) as publisher:
            if how == "refused":
                client.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", "-xtrim"], keys=["*"])
                client.xgroup_create(S, GROUP, id="0", mkstream=True)
                for n in range(20):
                    client.xadd(S, {"message": str(n)})
            else:
                proxy.swallow(b"EVAL")
            try:
                (receipt,) = publisher.send(messages("a"))
                publisher.send(messages("b"))
            finally:
                client.acl_setuser("default", enabled=True, nopass=True, commands=["+@all"], keys=["*"])

    assert receipt.sent == 1
    assert sum(b'"a"' in fields[b"message"] for _, fields in entries(client)) == 1


@pytest.mark.parametrize("count", [8_001, 20_000])
def test_any_number_is_trimmed(consumer: MakeConsumer, server: Server, client: redis.Redis, count: int) -> None:
    consumer()
    pipe = client.pipeline()
    for n in range(count):
        pipe.xadd(S, {"message": str(n)})
    pipe.execute()
    client.xgroup_setid(S, GROUP, "$")

    while client.xlen(S) > 400:
        before = client.xlen(S)
        assert trimming(server, 300, "m").warning == ""
        client.xgroup_setid(S, GROUP, "$")
        assert client.xlen(S) < before
    assert client.xlen(S) >= 300
