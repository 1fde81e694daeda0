"""With STREAM_MAXLEN a stream is cut, but never by what a group has still to handle."""

import redis
import stream_driver
from driver import messages
from stream_driver import GROUP, MakeConsumer, S, ids

from lab.server import Server
from shared.patterns.contract import Receipt
from shared.publishing import Publisher
from shared.settings import Settings

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


def test_what_a_group_has_in_hand_is_never_trimmed(
    server: Server, consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    # Given a group that handled all but the 501st message
    publisher.send(messages(*["m"] * 1000))
    one = consumer(lease_seconds=30)
    one.handle(limit=500)
    first, *others = (batch := one.take())
    for delivery in others:
        delivery.ack()
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
