"""Retries of a stream wait in a sorted set: a look costs the same whatever waits, and one member looks for all."""

import threading
import time

import pytest
import redis
import stream_driver
from driver import messages
from messages import wire
from stream_driver import GROUP, Consumer, MakeConsumer, S, ids, pending

from lab.server import Server
from townpost import keys
from townpost.consuming.listening import Listening
from townpost.counts import Counts
from townpost.patterns.stream.scripts import WAITING
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

consumer = stream_driver.consumer
unhurried = stream_driver.unhurried
publisher = stream_driver.publisher

RETRIES = keys.retries(S, GROUP)


def waiting(client: redis.Redis, count: int, due: float) -> None:
    """So many entries that wait for their next attempt."""
    client.xgroup_create(S, GROUP, id="0", mkstream=True)
    for start in range(0, count, 10_000):
        pipe = client.pipeline(transaction=False)
        some = range(start, min(start + 10_000, count))
        for n in some:
            pipe.xadd(S, {"message": b"x"}, id=f"{n + 1}-1")
            pipe.zadd(RETRIES, {f"{n + 1:020d}-{1:020d}": due})
        pipe.execute()
        client.execute_command("XREADGROUP", "GROUP", GROUP, WAITING, "COUNT", len(some), "STREAMS", S, ">")


def promised(one: Consumer) -> bool:
    """Whether it looks when the next retry is due."""
    return one.listener._look.promised


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_look_costs_the_same_whatever_waits(own_server: Server, unhurried: MakeConsumer) -> None:
    took: dict[int, float] = {}
    with redis.Redis(port=own_server.port) as client:
        for count in (10, 300_000):
            client.flushall()
            waiting(client, count, (time.time() + 25) * 1000)
            one = unhurried(own_server.url, lease_seconds=60)
            one.listener._look._recover_from = 0
            rounds = []
            for _ in range(10):
                client.config_resetstat()
                for _ in range(20):
                    assert one.listener._taken_over(100) is None
                rounds.append(float(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]))
            took[count] = min(rounds)  # other work on the machine disturbs whole rounds

    print(f"\nmicroseconds of a look, by how many retries wait: {took}")
    assert took[300_000] < 2 * took[10] + 10


def test_a_retry_wakes_one_member_that_is_idle_not_all(
    server: Server, publisher: Publisher, client: redis.Redis
) -> None:
    # Given many idle members
    stop = threading.Event()
    settings = Settings.read(redis_url=server.url, pattern="stream", backoff_seconds=0.2, max_attempts=8)

    def work() -> None:
        listening = Listening("stream", settings, stop, Counts())
        while (batch := listening.take(1)) is not None:
            for delivery in batch:
                delivery.fail(ValueError())
            listening.listener.settle(batch)
        listening.close()

    def commands(seconds: float) -> float:
        client.config_resetstat()
        time.sleep(seconds)
        stats = client.info("commandstats")
        asked = ("evalsha", "eval", "xreadgroup", "xack")
        return sum(int(stats[f"cmdstat_{name}"]["calls"]) for name in asked if f"cmdstat_{name}" in stats)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    idle = commands(3) / 3

    # When a message fails again and again
    publisher.send(messages("bad"))
    busy = commands(3) / 3

    stop.set()
    for thread in threads:
        thread.join()
    print(f"\n16 idle members: {idle:.0f} commands/s, {busy:.0f} with a message that fails")
    assert idle <= 16 * 2
    assert busy - idle < 30


@pytest.mark.alone
def test_a_retry_is_prompt_while_its_member_is_at_work(unhurried: MakeConsumer, publisher: Publisher) -> None:
    # Given a member whose message failed and that is at work from then on, and one that has just looked
    publisher.send(messages("bad"))
    one, idle = unhurried(backoff_seconds=0.4), unhurried(backoff_seconds=0.4)
    lateness = []
    batch = one.take(1)
    waiting_since = threading.Thread(target=lambda: lateness.append(_handled_at(idle)))
    for delivery in batch:
        delivery.fail(ValueError())
    idle.listener._look.at = time.monotonic() + 60
    waiting_since.start()
    started = time.monotonic()
    one.flush(batch)

    waiting_since.join()

    assert lateness[0] - started < 0.4 + 0.25


def _handled_at(one: Consumer) -> float:
    assert one.handle(seconds=5) == ["bad"]
    return time.monotonic()


def test_a_busy_member_passes_the_next_look_on(
    unhurried: MakeConsumer, publisher: Publisher, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a member that has promised to look when a retry is due, which is not at once
    monkeypatch.setattr("random.random", lambda: 1.0)
    publisher.send(messages("bad"))
    one, other = unhurried(backoff_seconds=5, lease_seconds=30), unhurried(lease_seconds=30)
    one.fail(ValueError())
    one.take(1, seconds=0)
    one.take(1, seconds=0)
    assert promised(one)
    assert client.xlen(keys.wake(S, GROUP)) == 0

    # When something else comes in between
    publisher.send(messages("more"))
    assert len(one.take(1)) == 1

    assert not promised(one)
    other.listener._look.at = time.monotonic() + 60
    other.take(1, seconds=0)
    other.take(1, seconds=0)
    assert promised(other)


def test_what_waits_comes_although_the_sorted_set_is_gone(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("bad", "worse"))
    one = consumer(backoff_seconds=60)
    one.fail(ValueError())
    client.delete(RETRIES)

    assert sorted(one.handle(seconds=3) + one.handle(seconds=3)) == ["bad", "worse"]
    assert pending(client) == 0


def test_members_that_are_no_entries_are_removed(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.zadd(RETRIES, {b"\xff": 1, b"1-": 2, b"999999999999999999999999-1": 3, b"5-5": 4, b"": 5, b"-": 6})
    client.zadd(RETRIES, {b"later": float("inf"), b"sooner": float("-inf")})
    publisher.send(messages("fine"))
    one = consumer()

    assert one.drain(seconds=1) == ["fine"]

    assert client.zcard(RETRIES) == 0
    assert "no entries: removed" in caplog.text


def test_a_retry_whose_entry_was_deleted_is_forgotten(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis
) -> None:
    publisher.send(messages("bad", "good"))
    one = consumer()
    one.fail(ValueError())
    client.xdel(S, ids(client)[0])

    assert one.drain(seconds=1) == ["good"]
    assert pending(client) == 0


@pytest.mark.parametrize("name", ["retries", "wake", "deaths", "dead"])
@pytest.mark.parametrize("kind", ["string", "list", "set", "zset", "hash", "stream"])
def test_a_companion_of_another_type_stops_nobody(
    consumer: MakeConsumer, publisher: Publisher, client: redis.Redis, name: str, kind: str
) -> None:
    # Given a member at work, and a key that somebody overwrites
    publisher.send(messages("bad", "good"))
    one = consumer(max_attempts=2)
    one.fail(ValueError())
    key = keys.of(S).dead if name == "dead" else getattr(keys, name)(S, GROUP)
    client.delete(key)
    commands = {"string": "SET k v", "list": "RPUSH k v", "set": "SADD k v", "zset": "ZADD k 1 v"}
    commands |= {"hash": "HSET k f v", "stream": "XADD k * f v"}
    client.execute_command(*[key if word == "k" else word for word in commands[kind].split()])

    # Then it goes on, as a service would, and what can be handled is
    handled: list[str] = []
    deadline = time.monotonic() + 10
    while len(set(handled)) < 2 and time.monotonic() < deadline:
        try:
            handled += one.handle(seconds=0)
        except Exception:  # noqa: BLE001 - what a session makes of it: another connection
            one.listener.open()
    assert set(handled) == {"bad", "good"}
    publisher.send(messages("next"))
    assert one.handle() == ["next"]


def test_entries_of_any_shape_are_dead_letters(consumer: MakeConsumer, client: redis.Redis) -> None:
    for fields in ({b"\xff": b"\x00"}, {b"message": b""}, {b"": b""}, {b"history": b"\xff", b"message": wire("a")}):
        client.xadd(S, fields)  # type: ignore[arg-type]  # redis-py's annotations are narrower than what it takes
    one = consumer(max_attempts=1)
    texts = []
    for delivery in (batch := one.take()):
        texts.append(delivery.message.message if delivery.message else "?")
        delivery.fail(delivery.problem or ValueError())
    one.flush(batch)

    assert texts == ["?", "?", "?", "a"]
    assert client.xlen(keys.of(S).dead) == 4
    assert pending(client) == 0
