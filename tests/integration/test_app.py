"""Handlers of an app, on every pattern and with every runner."""

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from apps import RUNNERS, dead, handler, leftovers, put, running, settings, until
from pydantic import BaseModel

from lab.server import Server
from townpost import App, Delivery, Message, Reject, Retry, SettingError, keys

RUNNER = pytest.mark.parametrize("runner", RUNNERS)
KEPT = pytest.mark.parametrize("pattern", ["reliable", "stream"])
ALL = pytest.mark.parametrize("pattern", ["pubsub", "queue", "reliable", "stream"])


class Order(BaseModel):
    number: int
    customer: str = ""


def order(number: object, **others: str | None) -> Message:
    return Message.create(f"#{number}", data={"number": number}, **others)  # type: ignore[dict-item, arg-type]  # **others is of several types


@ALL
@RUNNER
def test_each_message_is_handled_once_and_nothing_stays(
    server: Server, client: redis.Redis, pattern: str, runner: str
) -> None:
    # Given an app that listens
    heard: list[str] = []
    app = App(settings=settings(server.url))
    handler(app, runner, "orders", lambda message: heard.append(message.message), pattern=pattern)

    with running(app):
        until(lambda: pattern != "pubsub" or client.pubsub_numsub("orders")[0][1])

        # When 300 messages come
        put(client, pattern, "orders", *(Message.create(str(n)) for n in range(300)))
        until(lambda: len(heard) >= 300)

    assert Counter(heard) == Counter(str(n) for n in range(300))
    assert runner != "inline" or heard == [str(n) for n in range(300)]
    assert leftovers(client, pattern, "orders") == []


@KEPT
@RUNNER
def test_one_that_fails_repeats_alone_with_its_own_delays_and_dies_after_its_attempts(
    server: Server, client: redis.Redis, pattern: str, runner: str
) -> None:
    # Given a handler with delays of its own that fails one message of ten
    calls: list[tuple[str, float]] = []

    def work(message: Message) -> None:
        calls.append((message.message, time.monotonic()))
        if message.message == "bad":
            raise ValueError("no such customer")

    app = App(settings=settings(server.url))
    handler(app, runner, "orders", work, pattern=pattern, attempts=3, backoff=[0.3, 0.05])
    put(client, pattern, "orders", *(Message.create("bad" if n == 4 else str(n)) for n in range(10)))

    # When it runs until that one is dead
    with running(app):
        until(lambda: dead(client, "orders"))

    # Then the others were handled once, and the pauses were those
    assert Counter(text for text, _ in calls) == {"bad": 3} | {str(n): 1 for n in range(10) if n != 4}
    first, second, third = (moment for text, moment in calls if text == "bad")
    assert second - first >= 0.29
    assert third - second >= 0.04
    assert dead(client, "orders") == [("bad", "failed", "ValueError: no such customer")]
    assert leftovers(client, "stream" if pattern == "stream" else "", "orders") in ([], ["{orders}:dead"])


@KEPT
@RUNNER
def test_a_handler_says_when_to_try_again_and_when_never(
    server: Server, client: redis.Redis, pattern: str, runner: str
) -> None:
    calls: list[tuple[str, float]] = []

    def work(message: Message) -> None:
        calls.append((message.message, time.monotonic()))
        if message.message == "never":
            raise Reject("not ours")
        if message.message == "later" and sum(text == "later" for text, _ in calls) == 1:
            raise Retry("closed today", after=0.4)

    app = App(settings=settings(server.url, backoff_seconds=0))
    handler(app, runner, "orders", work, pattern=pattern)
    put(client, pattern, "orders", Message.create("never"), Message.create("later"))

    with running(app):
        until(lambda: len(calls) >= 3)

    first, second = (moment for text, moment in calls if text == "later")
    assert second - first >= 0.39
    assert dead(client, "orders") == [("never", "rejected", "not ours")]


@KEPT
def test_a_pause_may_be_longer_than_a_lease(server: Server, client: redis.Redis, pattern: str) -> None:
    calls: list[float] = []

    def work(_: Message) -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise Retry(after=1.2)

    app = App(settings=settings(server.url, lease_seconds=0.3))
    handler(app, "inline", "orders", work, pattern=pattern)
    put(client, pattern, "orders", Message.create("x"))

    with running(app):
        until(lambda: len(calls) == 2)

    assert calls[1] - calls[0] >= 1.19


@KEPT
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_handler_gets_follows_from_its_annotations(
    server: Server, client: redis.Redis, pattern: str, *, is_async: bool
) -> None:
    # Given a handler of a model, and a payload that is not one
    got: list[tuple[int, int, str, bool]] = []
    app = App(settings=settings(server.url))

    def note(given: Order, delivery: Delivery) -> None:
        got.append((given.number, delivery.attempt, delivery.queue, delivery.redelivered))
        if delivery.attempt < 2:
            raise ValueError

    if is_async:

        @app.handler("orders", pattern=pattern)
        async def charge(given: Order, delivery: Delivery) -> None:
            note(given, delivery)

    else:
        app.handler("orders", pattern=pattern)(note)

    put(client, pattern, "orders", order(7), order("seven"))

    with running(app):
        until(lambda: len(got) >= 2 and dead(client, "orders"))

    assert got == [(7, 1, "orders", False), (7, 2, "orders", True)]
    ((text, reason, error),) = dead(client, "orders")
    assert (text, reason) == ("#seven", "unreadable")
    assert "not a Order: number: Input should be a valid integer" in error


def test_the_type_of_a_message_chooses_its_handler(server: Server, client: redis.Redis) -> None:
    # Given two handlers by type, and messages of a third type and of none
    got: list[str] = []
    app = App(settings=settings(server.url))

    @app.handler("orders", type="order.placed")
    def place(message: Message) -> None:
        got.append(f"placed {message.message}")

    @app.handler("orders", type="order.cancelled")
    def cancel(message: Message) -> None:
        got.append(f"cancelled {message.message}")

    kinds = ("order.placed", "order.cancelled", "order.lost", None)
    put(client, "reliable", "orders", *(order(n, type=kind) for n, kind in enumerate(kinds)))

    with running(app):
        until(lambda: len(dead(client, "orders")) == 2)

    assert got == ["placed #0", "cancelled #1"]
    assert [reason for _, reason, _ in dead(client, "orders")] == ["rejected"] * 2
    assert "no handler for messages of type 'order.lost'" in dead(client, "orders")[0][2]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_of_a_list_gets_a_batch(server: Server, client: redis.Redis, *, is_async: bool) -> None:
    sizes: list[int] = []
    app = App(settings=settings(server.url, prefetch=50))

    def note(orders: list[Order]) -> None:
        sizes.append(len(orders))

    async def async_note(orders: list[Order]) -> None:
        sizes.append(len(orders))

    app.handler("orders", concurrency=50 if is_async else None)(async_note if is_async else note)
    put(client, "reliable", "orders", *(order(n) for n in range(200)))

    with running(app):
        until(lambda: sum(sizes) >= 200)

    assert sum(sizes) == 200
    assert max(sizes) > 1
    assert leftovers(client, "reliable", "orders") == []


@KEPT
@pytest.mark.parametrize("is_async", [False, True])
def test_a_payload_that_is_none_dies_alone_in_its_batch(
    server: Server, client: redis.Redis, pattern: str, *, is_async: bool
) -> None:
    got: list[int] = []
    app = App(settings=settings(server.url, prefetch=50))

    def note(orders: list[Order]) -> None:
        got.extend(order.number for order in orders)

    async def async_note(orders: list[Order]) -> None:
        note(orders)

    app.handler("orders", pattern=pattern)(async_note if is_async else note)
    put(client, pattern, "orders", order(1), order("two"), order(3))

    with running(app):
        until(lambda: len(got) >= 2 and dead(client, "orders"))

    assert sorted(got) == [1, 3]
    assert [(text, reason) for text, reason, _ in dead(client, "orders")] == [("#two", "unreadable")]


def test_an_async_handler_of_lists_gets_more_than_one(server: Server, client: redis.Redis) -> None:
    sizes: list[int] = []
    app = App(settings=settings(server.url))

    @app.handler("orders")
    async def note(orders: list[Order]) -> None:
        sizes.append(len(orders))

    put(client, "reliable", "orders", *(order(n) for n in range(100)))
    with running(app):
        until(lambda: sum(sizes) >= 100)

    assert max(sizes) > 5


@pytest.mark.parametrize("attempts", [3, 7])
@KEPT
def test_a_handler_may_have_more_attempts_than_the_setting(
    server: Server, client: redis.Redis, pattern: str, attempts: int
) -> None:
    calls: list[str] = []
    app = App(settings=settings(server.url, max_attempts=5))

    def work(message: Message) -> None:
        calls.append(message.message)
        raise ValueError("no")

    handler(app, "threads", "orders", work, pattern=pattern, attempts=attempts, backoff=[0.01])
    put(client, pattern, "orders", Message.create("x"))
    with running(app):
        until(lambda: dead(client, "orders"))

    assert len(calls) == attempts
    assert dead(client, "orders")[0][1] == "failed"


def test_a_queue_keeps_nothing_back_when_its_handlers_are_slow(server: Server, client: redis.Redis) -> None:
    # Given async handlers that take the event loop 5 ms each
    got: list[str] = []
    app = App(settings=settings(server.url))

    @app.handler("orders", pattern="queue")
    async def work(message: Message) -> None:
        time.sleep(0.005)  # noqa: ASYNC251 - the subject
        got.append(message.message)

    put(client, "queue", "orders", *(Message.create(str(n)) for n in range(250)))
    with running(app):
        until(lambda: len(got) >= 250)

    assert sorted(map(int, got)) == list(range(250))


def test_what_was_at_work_at_a_crash_comes_one_at_a_time_beside_the_rest(server: Server, client: redis.Redis) -> None:
    # Given three suspects, and other messages
    at_work, most, got = 0, 0, []
    app = App(settings=settings(server.url))

    @app.handler("orders")
    async def work(message: Message) -> None:
        nonlocal at_work, most
        if message.message.startswith("suspect"):
            at_work += 1
            most = max(most, at_work)
        await asyncio.sleep(0.2)
        at_work -= message.message.startswith("suspect")
        got.append(message.message)

    client.rpush(keys.suspects("orders"), *(Message.create(f"suspect {n}").encode() for n in range(3)))
    put(client, "reliable", "orders", *(Message.create(str(n)) for n in range(50)))
    started = time.monotonic()
    with running(app):
        until(lambda: len(got) == 53)

    assert most == 1
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("runner", ["threads", "loop"])
def test_what_leaves_a_batch_early_is_not_kept_from_others_by_its_once_mark(
    server: Server, client: redis.Redis, runner: str
) -> None:
    # Given a batch handled once, of which one message is at work for long and one fails
    release, calls = threading.Event(), []

    def work(message: Message) -> object:
        calls.append(message.message)
        if message.message == "bad" and calls.count("bad") == 1:
            raise ValueError
        if message.message != "slow":
            return None
        return asyncio.to_thread(release.wait, 20) if runner == "loop" else release.wait(20)

    app = App(settings=settings(server.url))
    handler(app, runner, "orders", work, once=60)
    put(client, "reliable", "orders", *(Message.create(text) for text in ("slow", "bad", "good")))

    with running(app):
        # Then the one that failed is handled again while the other is still at work
        until(lambda: calls.count("bad") == 2, 5)
        assert not release.is_set()
        release.set()

    assert Counter(calls) == {"slow": 1, "bad": 2, "good": 1}


@RUNNER
def test_middleware_wraps_every_call_the_first_outermost(server: Server, client: redis.Redis, runner: str) -> None:
    # Given two of them, of which the inner one turns an error into another
    said: list[str] = []
    app = App(settings=settings(server.url, max_attempts=1))

    @app.middleware
    def outer(delivery: Delivery) -> Iterator[None]:
        said.append(f"outer {delivery.queue}")
        yield
        said.append("outer done")

    @app.middleware
    def inner(_: Delivery) -> Iterator[None]:
        said.append("inner")
        try:
            yield
        except KeyError as error:
            raise Reject("no such key") from error

    def work(message: Message) -> None:
        said.append(message.message)
        if message.message == "bad":
            raise KeyError

    handler(app, runner, "orders", work)

    with running(app):
        put(client, "reliable", "orders", Message.create("good"))
        until(lambda: "outer done" in said)
        put(client, "reliable", "orders", Message.create("bad"))
        until(lambda: dead(client, "orders"))

    assert said == ["outer orders", "inner", "good", "outer done", "outer orders", "inner", "bad"]
    assert dead(client, "orders") == [("bad", "rejected", "no such key")]


def test_an_async_handler_is_cancelled_when_its_time_is_up(server: Server, client: redis.Redis) -> None:
    ends: list[str] = []
    app = App(settings=settings(server.url))

    @app.handler("orders", timeout=0.2, attempts=1)
    async def work(message: Message) -> None:
        try:
            await asyncio.sleep(0 if message.message == "quick" else 60)
            ends.append(message.message)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    put(client, "reliable", "orders", Message.create("slow"), Message.create("quick"))

    with running(app):
        until(lambda: dead(client, "orders"))

    assert sorted(ends) == ["cancelled", "quick"]
    ((text, reason, error),) = dead(client, "orders")
    assert (text, reason) == ("slow", "failed")
    assert "its time was up" in error


def test_a_handler_that_swallows_its_cancellation_is_named_and_has_failed(
    server: Server, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(settings=settings(server.url))
    release = threading.Event()

    @app.handler("orders", timeout=0.1, attempts=1)
    async def stubborn(_: Message) -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    put(client, "reliable", "orders", Message.create("x"))

    with running(app):
        until(lambda: "stubborn goes on although it was cancelled" in caplog.text)
        release.set()
        until(lambda: dead(client, "orders"))


def test_an_async_handler_whose_lease_is_lost_is_cancelled(server: Server, client: redis.Redis) -> None:
    # Given a handler at work
    begun, lost = threading.Event(), threading.Event()
    app = App(settings=settings(server.url, lease_seconds=0.6))

    @app.handler("orders")
    async def work(_: Message, delivery: Delivery) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if delivery.lost.is_set():
                lost.set()
            raise

    put(client, "reliable", "orders", Message.create("x"))
    with running(app):
        begun.wait(10)

        # When its lease is gone
        client.delete("{orders}:leases")

        assert lost.wait(10)


def test_what_blocks_the_event_loop_is_named_once_with_the_seconds(
    server: Server, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(settings=settings(server.url))
    handled: list[str] = []

    @app.handler("orders")
    async def work(message: Message) -> None:
        time.sleep(0.6)  # noqa: ASYNC251 - the subject
        handled.append(message.message)

    put(client, "reliable", "orders", Message.create("a"), Message.create("b"))
    with running(app):
        until(lambda: len(handled) == 2)
        until(lambda: "the event loop was blocked for" in caplog.text)

    assert caplog.text.count("the event loop was blocked for") == 1
    assert "test_app.py" in caplog.text


@KEPT
@pytest.mark.parametrize("runner", ["threads", "loop"])
def test_what_is_answered_leaves_its_batch_though_another_of_it_takes_long(
    server: Server, client: redis.Redis, pattern: str, runner: str
) -> None:
    # Given a batch of one slow and nine quick messages
    release = threading.Event()

    def work(message: Message) -> object:
        if message.message != "slow":
            return None
        return asyncio.to_thread(release.wait, 20) if runner == "loop" else release.wait(20)

    app = App(settings=settings(server.url))
    handler(app, runner, "orders", work, pattern=pattern)
    put(client, pattern, "orders", *(Message.create("slow" if n == 3 else str(n)) for n in range(10)))

    with running(app):
        until(lambda: pattern != "stream" or client.xinfo_groups("orders"))

        # Then what a crash would bring back is the slow one alone
        def in_flight() -> int:
            if pattern == "stream":
                return int(client.xpending("orders", "townpost")["pending"])
            return sum(client.llen(key) for key in client.keys("{orders}:claim:*"))

        until(lambda: in_flight() == 1)
        release.set()

    assert leftovers(client, pattern, "orders") == []


@KEPT
@pytest.mark.parametrize("runner", ["threads", "loop"])
def test_at_a_stop_what_was_not_begun_goes_back_at_once_and_the_rest_is_left_to_its_lease(
    server: Server, client: redis.Redis, pattern: str, runner: str
) -> None:
    # Given more messages than workers, all of which are at work for long
    release, begun = threading.Event(), []

    def work(message: Message) -> object:
        begun.append(message.message)
        return asyncio.sleep(60) if runner == "loop" else release.wait(60)

    app = App(settings=settings(server.url, stop_seconds=0.3, lease_seconds=30))
    handler(app, runner, "orders", work, pattern=pattern, **({"concurrency": 20} if runner == "loop" else {}))
    put(client, pattern, "orders", *(Message.create(str(n)) for n in range(50)))
    started = time.monotonic()
    with running(app):
        until(lambda: len(begun) == 20)
        started = time.monotonic()

    # Then it ends in time, and only what was begun is in flight
    assert time.monotonic() - started < 3
    release.set()
    if pattern == "reliable":
        assert client.llen("orders") == 30
        assert sum(client.llen(key) for key in client.keys("{orders}:claim:*")) == 20
    assert len(begun) == 20


def test_two_queues_in_one_process_are_reported_apart(server: Server, client: redis.Redis) -> None:
    app = App(settings=settings(server.url))
    got: list[str] = []
    for name in ("orders", "emails"):
        app.handler(name)(lambda message: got.append(message.message))

    with running(app):
        put(client, "reliable", "orders", Message.create("a"))
        put(client, "reliable", "emails", Message.create("b"), Message.create("c"))
        until(lambda: len(got) == 3)

        def handled() -> dict[str, int]:
            reports = [json.loads(client.get(key) or b"{}") for key in client.keys("townpost:instance:*")]
            return {one["names"]["reliable"]: one["patterns"]["reliable"]["handled"] for one in reports}

        until(lambda: handled() == {"orders": 1, "emails": 2})


def _plain(_message: Message) -> None: ...
async def _async(_message: Message) -> None: ...
def _number(_number: int) -> None: ...
def _nothing() -> None: ...
def _lists(_messages: list[Message], _delivery: Delivery) -> None: ...
def _lists_alone(_messages: list[Message]) -> None: ...


def _generator(_message: Message) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("registered", "said"),
    [
        ([(_number, {})], "its parameter '_number' is not one of"),
        ([(_nothing, {})], "it takes no argument"),
        ([(_lists, {})], "a list comes alone"),
        ([(_generator, {})], "is a generator"),
        ([(_plain, {"pattern": "topic"})], "pattern='topic' is none"),
        (
            [(_plain, {}), (_plain, {})],
            "handle all messages of the same subscription",
        ),
        ([(_plain, {"type": "a"}), (_async, {"type": "b"})], "either both are async, or neither"),
        ([(_lists_alone, {"type": "a"})], "takes a list, which may hold messages of every type"),
        ([(_plain, {"concurrency": 2}), (_plain, {"type": "a", "concurrency": 3})], "say concurrency=2 and 3"),
        ([(_plain, {"attempts": 0})], "attempts=0"),
        ([(_plain, {"backoff": [-1]})], "is neither a number of seconds nor a list"),
        ([(_plain, {"timeout": -1})], "HANDLER_TIMEOUT cannot be used"),
        ([], "the app has no handlers"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_reason(
    registered: list[tuple[object, dict[str, object]]], said: str
) -> None:
    app = App(settings=settings("redis://127.0.0.1:1"))
    for function, options in registered:
        app.handler("orders", **options)(function)  # type: ignore[arg-type, type-var]  # **options is of several types

    with pytest.raises(SettingError, match=said):
        app.subscriptions()


def test_a_library_touches_neither_the_root_logger_nor_signals_nor_starts_threads(server: Server) -> None:
    before = (threading.active_count(), list(logging.getLogger().handlers))

    app = App(settings=settings(server.url))
    app.handler("orders")(_plain)
    app.subscriptions()

    assert (threading.active_count(), list(logging.getLogger().handlers)) == before
