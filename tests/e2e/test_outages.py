"""What both services do when Redis is not there, goes away, hangs, or says no."""

import json
import signal
import time
from collections.abc import Iterator

import pytest
import redis
from conftest import Start
from messages import wire

from lab.proxy import Proxy
from lab.server import Server

BOTH = pytest.mark.parametrize("module", ["publisher", "subscriber"])
NOWHERE = "redis://127.0.0.1:1"


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.mark.alone
@BOTH
def test_without_redis_it_gives_up_after_connect_timeout(start: Start, module: str) -> None:
    started = time.monotonic()
    service = start(module, url=NOWHERE, CONNECT_TIMEOUT="1.5", PATTERN="queue")

    assert service.wait() == 1
    assert 1.5 <= time.monotonic() - started < 4
    assert len(service.matching("no Redis at redis://127.0.0.1:1: connection refused", "attempt")) >= 2
    assert len(service.matching("gave up after CONNECT_TIMEOUT=1.5 s", "REDIS_URL")) == 1
    assert not service.matching("Traceback")


@BOTH
def test_a_host_that_does_not_exist_is_named(start: Start, module: str) -> None:
    service = start(module, url="redis://no-such-host.invalid", CONNECT_TIMEOUT="0")

    assert service.wait() == 1
    assert service.matching("no Redis at redis://no-such-host.invalid:6379", "CONNECT_TIMEOUT")


@pytest.mark.alone
@BOTH
def test_a_signal_while_retrying_ends_it_at_once(start: Start, module: str) -> None:
    service = start(module, url=NOWHERE)
    service.wait_for("attempt 3")

    started = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - started < 1


@pytest.mark.alone
@BOTH
def test_a_signal_while_connecting_to_a_silent_host_ends_it_at_once(start: Start, proxy: Proxy, module: str) -> None:
    proxy.timeout = True
    service = start(module, url=proxy.url)
    service.wait_for("has not answered", "attempt 1")  # the next connection is opening, or about to

    started = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - started < 1


def test_redis_that_starts_late_is_found(start: Start, own_server: Server) -> None:
    own_server.stop()
    subscriber = start("subscriber", url=own_server.url)
    subscriber.wait_for("attempt 2")

    own_server.start()

    subscriber.wait_for("connected to Redis", count=2)


def test_both_go_on_after_redis_was_killed_and_nothing_acknowledged_is_missing(
    start: Start, own_server: Server
) -> None:
    # Given both services at work
    subscriber = start("subscriber", url=own_server.url)
    subscriber.wait_for("connected", count=2)
    publisher = start("publisher", url=own_server.url, PUBLISH_INTERVAL="0.05")
    subscriber.wait_for("from queue", count=10)

    # When the server is killed, stays away for a while, and comes back
    own_server.kill()
    publisher.wait_for("attempt 2")
    own_server.start()

    # Then both say how long it was gone and what that may have cost
    subscriber.wait_for("pubsub: WARNING: Redis is back after", "a gap is possible")
    subscriber.wait_for("queue: WARNING: Redis is back after")
    publisher.wait_for("Redis is back after", "sent again under the same id")
    before = len(subscriber.matching("from queue"))
    subscriber.wait_for("from queue", count=before + 10)

    # And every message the publisher counts was printed
    publisher.stop()
    total = int(publisher.matching("total on queue: ")[0].rsplit(" ", 1)[1])
    subscriber.wait_for(f"Hello from Python #{total} ", "from queue")
    numbers = {line.split("#")[1].split()[0] for line in subscriber.matching("from queue")}
    assert numbers >= {str(n) for n in range(1, total + 1)}


def test_a_half_open_link_is_found_within_five_seconds(start: Start, proxy: Proxy) -> None:
    # Given services that idle on links that look well
    subscriber = start("subscriber", url=proxy.url)
    subscriber.wait_for("connected", count=2)
    publisher = start("publisher", url=proxy.url, PUBLISH_INTERVAL="0.5", PATTERN="queue")
    publisher.wait_for("sent #1")

    # When packets begin to vanish
    proxy.timeout = True
    vanished = time.monotonic()

    # Then each link is given up
    subscriber.wait_for("pubsub: WARNING: no answer to PING")
    subscriber.wait_for("queue: WARNING:", "has not answered")
    publisher.wait_for("has not answered")
    assert time.monotonic() - vanished < 5

    # And when they arrive again, all go on
    proxy.timeout = False
    proxy.reset_peer()
    subscriber.wait_for("Redis is back after", count=2, timeout=20)


def test_a_lost_reply_to_a_push_duplicates_the_message_under_the_same_id_at_most(
    start: Start, proxy: Proxy, client: redis.Redis
) -> None:
    publisher = start("publisher", url=proxy.url, PUBLISH_INTERVAL="0.1", PATTERN="queue")
    publisher.wait_for("sent #2")

    proxy.swallow(b"RPUSH")
    publisher.wait_for("Redis is back after")
    publisher.wait_for("sent #6")
    publisher.stop()

    messages = [json.loads(raw) for raw in client.lrange("message_queue", 0, -1)]
    total = int(publisher.matching("total on queue: ")[0].rsplit(" ", 1)[1])
    assert proxy.swallowed == 1
    assert len(messages) == total + 1
    assert len({message["id"] for message in messages}) == total


@BOTH
def test_a_wrong_password_is_one_clear_line(start: Start, module: str) -> None:
    with Server("--requirepass", "secret") as server:
        for url in (server.url, f"redis://:wrong@127.0.0.1:{server.port}"):
            service = start(module, url=url, PATTERN="queue")

            assert service.wait() == 1
            assert len(service.matching("Redis refuses the user name or password of REDIS_URL")) == 1
            assert not service.matching("Traceback")
            assert not service.matching("wrong@")


@BOTH
def test_a_forbidden_key_is_one_clear_line(start: Start, client: redis.Redis, server: Server, module: str) -> None:
    client.acl_setuser("guest", enabled=True, nopass=True, categories=["+@all"], keys=["other"], channels=["other"])
    try:
        service = start(module, url=f"redis://guest:any@127.0.0.1:{server.port}", PATTERN="queue")

        assert service.wait() == 1
        assert len(service.matching("QUEUE=message_queue: the ACL of this Redis user forbids it")) == 1
    finally:
        client.acl_deluser("guest")


def test_a_forbidden_channel_is_one_clear_line(start: Start, client: redis.Redis, server: Server) -> None:
    # Given a user who may use the channel tasks.created, but not every channel that the glob stands for
    client.acl_setuser("guest", enabled=True, nopass=True, categories=["+@all"], keys=["*"], channels=["tasks.created"])
    try:
        url = f"redis://guest:any@127.0.0.1:{server.port}"
        service = start("subscriber", url=url, PATTERN="pubsub", CHANNEL="tasks.*")

        assert service.wait() == 1
        assert service.matching("CHANNEL=tasks.*: the ACL of this Redis user forbids it")
    finally:
        client.acl_deluser("guest")


def test_the_literal_glob_in_the_acl_lets_the_subscriber_in(start: Start, client: redis.Redis, server: Server) -> None:
    client.acl_setuser("guest", enabled=True, nopass=True, categories=["+@all"], keys=["*"], channels=["tasks.*"])
    try:
        url = f"redis://guest:any@127.0.0.1:{server.port}"

        start("subscriber", url=url, PATTERN="pubsub", CHANNEL="tasks.*").wait_for("connected")
    finally:
        client.acl_deluser("guest")


@BOTH
def test_a_queue_of_another_type_is_one_clear_line(start: Start, client: redis.Redis, module: str) -> None:
    client.set("message_queue", "a string")

    service = start(module, PATTERN="queue")

    assert service.wait() == 1
    assert len(service.matching("QUEUE=message_queue names a key of another type", "choose another name")) == 1
    assert client.get("message_queue") == b"a string"


def test_the_half_that_was_not_sent_is_named(start: Start, client: redis.Redis) -> None:
    client.set("message_queue", "a string")

    publisher = start("publisher", PATTERN="both")

    assert publisher.wait() == 1
    publisher.wait_for("sent on pubsub, not on queue: QUEUE=message_queue names a key of another type")
    assert publisher.matching("total on pubsub: 1")
    assert publisher.matching("total on queue: 0")


def test_a_queue_that_turns_into_another_type_is_waited_for_without_spinning(start: Start, client: redis.Redis) -> None:
    # Given a publisher and a subscriber at work
    publisher = start("publisher", PUBLISH_INTERVAL="0.1")
    subscriber = start("subscriber")
    subscriber.wait_for("from queue", count=3)

    # When somebody puts a string where the list was
    client.delete("message_queue")
    while not client.set("message_queue", "a string", nx=True):
        client.delete("message_queue")

    # Then each says so once and asks rarely
    subscriber.wait_for("QUEUE=message_queue names a key of another type")
    publisher.wait_for("QUEUE=message_queue names a key of another type")
    calls = _calls(client)
    time.sleep(3)  # the time in which a spinning service would call thousands of times
    assert _calls(client) - calls < 30
    assert len(subscriber.matching("names a key of another type")) == 1

    # And when the key is gone they go on, each message once per pattern
    client.delete("message_queue")
    publisher.wait_for("it works again after", timeout=30)
    subscriber.wait_for("it works again after", timeout=30)
    numbers = [line.split("#")[1].split()[0] for line in subscriber.matching("from pub-sub")]
    assert len(numbers) == len(set(numbers))


def _calls(client: redis.Redis) -> int:
    stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("blpop", "lpop", "rpush", "publish"))


def test_an_outage_shows_as_a_gap_on_pubsub_when_the_numbers_tell(start: Start, own_server: Server) -> None:
    # Given a subscriber that heard #1
    subscriber = start("subscriber", url=own_server.url, PATTERN="pubsub")
    subscriber.wait_for("connected")
    with redis.Redis(port=own_server.port) as client:
        client.publish("messages", wire(count=1, epoch="e"))
        subscriber.wait_for("from pub-sub")

        # When its connection is cut and #2 is published before it is back
        subscriber.signal(signal.SIGSTOP)
        client.client_kill_filter(_type="pubsub")
        client.publish("messages", wire(count=2, epoch="e"))
        subscriber.signal(signal.SIGCONT)
        subscriber.wait_for("Redis is back after")
        client.publish("messages", wire(count=3, epoch="e"))

    # Then the number it missed is named
    subscriber.wait_for("gap: never heard #2 of a-test (1 missed)")


def test_a_broken_connection_is_replaced_at_once_but_not_in_a_spin(start: Start, proxy: Proxy) -> None:
    subscriber = start("subscriber", url=proxy.url, PATTERN="queue")
    start("publisher", "hi", url=proxy.url, PATTERN="queue")
    subscriber.wait_for("from queue")

    proxy.reset_peer()
    subscriber.wait_for("connecting again at once")
    subscriber.wait_for("Redis is back after")

    proxy.timeout = True
    proxy.reset_peer()
    subscriber.wait_for("attempt 2, next in", timeout=20)
