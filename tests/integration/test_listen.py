"""`listen`: what becomes of a delivery that is answered late, elsewhere, or never."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
import redis
from messages import wire

from lab.proxy import Proxy
from lab.server import Server
from townpost import keys
from townpost.consuming.listening import listen
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Delivery
from townpost.publishing.publisher import Publisher
from townpost.settings import Settings

T = TypeVar("T")
KEPT = pytest.mark.parametrize("pattern", ["reliable", "stream"])
ALL = pytest.mark.parametrize("pattern", ["pubsub", "queue", "reliable", "stream"])
NAMES = {"reliable": "reliable_queue", "stream": "message_stream"}


def settings(url: str, pattern: str, **others: object) -> Settings:
    return Settings.read(redis_url=url, pattern=pattern, **{"backoff_seconds": 0.01, **others})


def publish(server: Server, pattern: str, *texts: str) -> None:
    with Publisher(settings=settings(server.url, pattern)) as publisher:
        publisher.send([Message.create(text) for text in texts])


def until(look: Callable[[], T]) -> T:
    deadline = time.monotonic() + 10
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not come to that in 10 s"
        time.sleep(0.01)
    return seen


def text(delivery: Delivery) -> str:
    assert delivery.message is not None
    return delivery.message.message


def dead(client: redis.Redis, pattern: str) -> list[bytes]:
    dead_letters: Any = client.xrange(keys.of(NAMES[pattern]).dead)
    return [fields[b"error"] for _, fields in dead_letters]


class Loop:
    """A thread with a loop over `listen`; the body is given."""

    def __init__(self, url: str, pattern: str, **others: object) -> None:
        self.stop = threading.Event()
        self.texts: list[str] = []
        self._settings = settings(url, pattern, **others)
        self._pattern = pattern
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def body(self, delivery: Delivery) -> None:
        """Answers nothing."""

    def _run(self) -> None:
        for delivery in listen(self._pattern, settings=self._settings, stop=self.stop):
            self.texts.append(text(delivery))
            self.body(delivery)

    def end(self) -> float:
        """How long the stop took."""
        started = time.monotonic()
        self.stop.set()
        self._thread.join()
        return time.monotonic() - started


@KEPT
def test_a_loop_that_never_answers_makes_dead_letters_and_does_not_spin(
    server: Server, client: redis.Redis, pattern: str
) -> None:
    # Given the README's own loop, without an answer
    publish(server, pattern, "a", "b", "c")
    loop = Loop(server.url, pattern, max_attempts=2, prefetch=1)

    # When each message but the one that the loop still holds has come twice
    while len(dead(client, pattern)) < 2:
        pass
    loop.end()

    # Then none came more often
    assert max(Counter(loop.texts).values()) <= 2
    assert b"neither ack nor fail was called" in dead(client, pattern)[0]


@KEPT
def test_an_exception_in_the_body_fails_that_message_and_no_other(
    server: Server, client: redis.Redis, pattern: str
) -> None:
    # Given a loop that raises for one message of three
    publish(server, pattern, "bad", "good", "fine")
    seen: Counter[str] = Counter()

    def handle(delivery: Delivery) -> None:
        seen[text(delivery)] += 1
        if text(delivery) == "bad":
            raise ValueError
        delivery.ack()

    # When it is begun again each time
    while not (dead(client, pattern) and seen["good"] and seen["fine"]):
        try:
            stop = threading.Event()
            for delivery in listen(pattern, settings=settings(server.url, pattern, max_attempts=3), stop=stop):
                handle(delivery)
                if dead(client, pattern):
                    stop.set()
        except ValueError:
            continue

    # Then the bad one is dead after its attempts, and the others were handled once
    assert seen == {"bad": 3, "good": 1, "fine": 1}
    assert len(dead(client, pattern)) == 1


@KEPT
def test_answers_may_come_from_other_threads(server: Server, pattern: str) -> None:
    # Given eight messages, handed to a pool of threads that hold them for longer than a lease
    publish(server, pattern, *"abcdefgh")
    calls: list[str] = []
    stop = threading.Event()

    def work(delivery: Delivery) -> None:
        calls.append(text(delivery))
        time.sleep(0.7)
        delivery.ack()
        if len(calls) == 8:
            stop.set()

    with ThreadPoolExecutor(8) as pool:
        for delivery in listen(pattern, settings=settings(server.url, pattern, lease_seconds=0.5), stop=stop):
            pool.submit(work, delivery)

    # Then each came once, and nothing is left
    assert sorted(calls) == list("abcdefgh")
    again = Loop(server.url, pattern)
    publish(server, pattern, "last")
    while not again.texts:
        pass
    again.end()
    assert again.texts == ["last"]


@KEPT
def test_what_is_kept_for_longer_than_the_timeout_has_failed(server: Server, client: redis.Redis, pattern: str) -> None:
    publish(server, pattern, "a", "b")
    kept: list[Delivery] = []

    class Keeping(Loop):
        def body(self, delivery: Delivery) -> None:
            kept.append(delivery)

    loop = Keeping(server.url, pattern, handler_timeout=0.2, max_attempts=1)
    while len(dead(client, pattern)) < 2:
        pass
    for delivery in kept:
        delivery.ack()
    loop.end()

    assert all(b"HANDLER_TIMEOUT=0.2" in error for error in dead(client, pattern))


@KEPT
def test_what_other_threads_do_not_answer_by_the_end_comes_again(server: Server, pattern: str) -> None:
    publish(server, pattern, "a", "b", "c")
    kept: list[Delivery] = []

    class Keeping(Loop):
        def body(self, delivery: Delivery) -> None:
            kept.append(delivery)
            if len(kept) == 3:
                self.stop.set()

    Keeping(server.url, pattern, prefetch=3).end()
    for delivery in kept:
        delivery.ack()  # too late

    again = Loop(server.url, pattern)
    while len(again.texts) < 3:
        pass
    again.end()
    assert set(again.texts) == {"a", "b", "c"}


@pytest.mark.parametrize("pattern", ["queue", "reliable", "stream"])
def test_a_stop_is_looked_at_after_each_message(server: Server, pattern: str) -> None:
    publish(server, pattern, *(str(n) for n in range(50)))
    stop = threading.Event()
    heard = []
    for delivery in listen(pattern, settings=settings(server.url, pattern, prefetch=50), stop=stop):
        heard.append(text(delivery))
        delivery.ack()
        if len(heard) == 3:
            stop.set()
    assert heard == ["0", "1", "2"]

    rest = []
    stop = threading.Event()
    for delivery in listen(pattern, settings=settings(server.url, pattern, prefetch=50), stop=stop):
        rest.append(text(delivery))
        delivery.ack()
        if len(rest) == 47:
            stop.set()
    assert sorted(map(int, rest)) == list(range(3, 50))


@pytest.mark.parametrize("pattern", ["queue", "reliable", "stream"])
def test_a_break_gives_back_what_was_not_reached(server: Server, pattern: str) -> None:
    publish(server, pattern, "a", "b", "c")
    for delivery in listen(pattern, settings=settings(server.url, pattern, prefetch=50)):
        delivery.ack()
        break
    del delivery

    again = Loop(server.url, pattern)
    while len(set(again.texts)) < 2:
        pass
    again.end()
    assert set(again.texts) == {"b", "c"}


@pytest.mark.alone
@ALL
@pytest.mark.parametrize("fault", ["idle", "hangs", "away", "silent"])
def test_a_stop_ends_the_wait_within_a_second(pattern: str, fault: str) -> None:
    with Server(appendfsync=None) as own, Proxy(own.port) as proxy:
        loop = Loop(proxy.url, pattern, connect_timeout=30)
        with redis.Redis(port=own.port) as client:
            while not any(one["name"] == f"townpost-{pattern}" for one in client.client_list()):
                pass
        time.sleep(0.2)  # into its first wait
        if fault == "hangs":
            own.pause()
        if fault == "away":
            own.kill()
        if fault == "silent":  # a host that takes connections and never answers
            own.pause()
            proxy.reset_peer()
            time.sleep(0.3)

        assert loop.end() < 1.5
        if fault in ("hangs", "silent"):
            own.resume()


@pytest.fixture
def _nothing_is_left(client: redis.Redis) -> Iterator[None]:
    yield
    assert client.info("clients")["blocked_clients"] == 0


@pytest.mark.usefixtures("_nothing_is_left")
def test_a_queue_that_is_closed_amid_its_wait_takes_no_message_with_it(server: Server, client: redis.Redis) -> None:
    # Given a listener that waits for a message
    loop = Loop(server.url, "queue")
    while not client.info("clients")["blocked_clients"]:
        pass

    # When it is stopped
    loop.end()

    # Then a message that comes right afterwards is there for others
    client.rpush("message_queue", wire("next"))
    assert client.llen("message_queue") == 1


@KEPT
def test_what_other_threads_have_is_not_handed_out_again_while_the_batch_is_handed_out(
    server: Server, pattern: str
) -> None:
    # Given a loop that takes three at a time and hands them to threads of different speed
    publish(server, pattern, *[str(n) for n in range(12)])
    stop = threading.Event()
    seen: Counter[str] = Counter()
    answered: list[str] = []

    def work(delivery: Delivery) -> None:
        time.sleep(0.3 if int(text(delivery)) % 3 == 1 else 0.0)
        delivery.ack()
        answered.append(text(delivery))
        if len(answered) == 12:
            stop.set()

    with ThreadPoolExecutor(4) as pool:
        for delivery in listen(pattern, settings=settings(server.url, pattern, prefetch=3), stop=stop):
            seen[text(delivery)] += 1
            pool.submit(work, delivery)
            time.sleep(0.15)

    assert seen == Counter(str(n) for n in range(12))


@ALL
def test_what_it_does_is_reported_as_a_service_reports_it(server: Server, client: redis.Redis, pattern: str) -> None:
    # Given a loop that fails one message of three, unless its pattern knows no failure
    class Failing(Loop):
        def body(self, delivery: Delivery) -> None:
            if text(delivery) == "bad":
                delivery.fail(ValueError("no"))
            delivery.ack()

    def reports() -> list[Any]:
        found = [json.loads(client.get(key) or b"{}") for key in client.keys(keys.instance("*"))]
        return [one for one in found if one["role"] == "subscriber"]

    loop = Failing(server.url, pattern, max_attempts=1)
    until(reports)
    publish(server, pattern, "a", "bad", "b")
    until(lambda: len(loop.texts) == 3)
    loop.end()

    # Then that stands in its report, which it takes leave with
    (told,) = until(lambda: [one for one in reports() if one["ended"]])
    counts = told["patterns"][pattern]
    failed = int(pattern in NAMES)
    assert (counts["received"], counts["handled"], counts["failed"]) == (3, 3 - failed, failed)
    assert told["names"] == {pattern: settings(server.url, pattern).name_of(PATTERNS[pattern])}


@KEPT
def test_a_failure_is_told_in_the_log(server: Server, pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    publish(server, pattern, "a")
    stop = threading.Event()

    for delivery in listen(pattern, settings=settings(server.url, pattern), stop=stop):
        delivery.fail(ValueError("no such customer"))
        stop.set()

    assert "a message failed with ValueError: no such customer" in caplog.text
