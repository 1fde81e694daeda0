"""Handlers of an app. What every pattern promises with every runner is in tests/conformance."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis
from apps import RUNNERS, dead, handler, leftovers, put, running, settings, until
from pydantic import BaseModel, RootModel

from lab.server import Server
from townpost import App, Delivery, Message, Reject, SettingError, keys

RUNNER = pytest.mark.parametrize("runner", RUNNERS)
KEPT = pytest.mark.parametrize("pattern", ["reliable", "stream"])


class Order(BaseModel):
    number: int
    customer: str = ""


class Numbers(RootModel[list[int]]): ...


class Unfinished(BaseModel):
    part: "NowhereDefined"  # type: ignore[name-defined] # noqa: F821 - that is the point


def order(number: object, **others: str | None) -> Message:
    return Message.create(f"#{number}", data={"number": number}, **others)  # type: ignore[dict-item, arg-type]  # **others is of several types


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

    client.rpush(keys.of("orders").suspects, *(Message.create(f"suspect {n}").encode() for n in range(3)))
    put(client, "reliable", "orders", *(Message.create(str(n)) for n in range(50)))
    started = time.monotonic()
    with running(app):
        until(lambda: len(got) == 53)

    assert most == 1
    assert time.monotonic() - started < 3


def test_what_was_in_flight_at_a_crash_is_soon_worked_off(server: Server, client: redis.Redis) -> None:
    # Given forty suspects, of which one at a time is handed out, and a handler that is done at once
    got: list[str] = []
    app = App(settings=settings(server.url))

    @app.handler("orders", concurrency=20)
    def work(message: Message) -> None:
        got.append(message.message)

    client.rpush(keys.of("orders").suspects, *(Message.create(str(n)).encode() for n in range(40)))

    # When an app takes them, then none waits for a poll of the server
    started = time.monotonic()
    with running(app):
        until(lambda: len(got) == 40)
    assert time.monotonic() - started < 3


def test_a_handler_whose_time_is_up_is_named_with_the_line_where_it_was(
    server: Server, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a handler behind middleware that waits for longer than it may
    app = App(settings=settings(server.url))

    @app.middleware
    def around(_: Delivery) -> Iterator[None]:
        yield

    @app.handler("orders", timeout=0.2, attempts=1)
    async def work(_: Message) -> None:
        await asyncio.sleep(60)

    put(client, "reliable", "orders", Message.create("slow"))
    with running(app):
        until(lambda: dead(client, "orders"))

    # Then the log says where
    (line,) = (record.getMessage() for record in caplog.records if "TimeoutError" in record.getMessage())
    assert f"test_app.py:{work.__code__.co_firstlineno + 2}" in line


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
def _numbers(_numbers: Numbers) -> None: ...
def _unfinished(_unfinished: Unfinished) -> None: ...
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
        ([(_plain, {"timeout": -1})], "^the handlers of 'orders': timeout= cannot be used: greater than 0"),
        ([(_plain, {"timeout": "1"})], "timeout='1' is no number of seconds"),
        ([(_plain, {"once": float("nan")})], "once=nan is no number of seconds"),
        ([(_plain, {"attempts": "3"})], "attempts='3' is no whole number"),
        ([(_plain, {"concurrency": True})], "concurrency=True is no whole number"),
        ([(_plain, {"backoff": ["1"]})], "is neither a number of seconds nor a list"),
        ([(_plain, {"backoff": "10"})], "is neither a number of seconds nor a list"),
        ([(_plain, {"type": Order})], "type=<class .*Order'> is no text"),
        ([(_plain, {"pattern": "queue", "attempts": 4})], "attempts= has no effect, since queue .*reliable or stream"),
        ([(_plain, {"pattern": "pubsub", "backoff": 1})], "backoff= has no effect, since pubsub .*reliable or stream"),
        ([(_plain, {"group": "billing"})], "group= has no effect, since reliable has no groups: choose stream"),
        ([(_plain, {"pattern": "stream", "once": 60})], "once= has no effect, since stream .* choose reliable"),
        ([(_numbers, {})], "its model Numbers: the data of a message is a JSON object, and this is of type array"),
        ([(_unfinished, {})], "its model Unfinished: .*NowhereDefined"),
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


@pytest.mark.parametrize("name", ["", 7, None])
def test_a_handler_has_the_name_of_a_queue(name: object) -> None:
    app = App(settings=settings("redis://127.0.0.1:1"))
    app.handler(name)(_plain)  # type: ignore[arg-type]  # it is refused, which is the test

    with pytest.raises(SettingError, match=f"^{name!r} names no queue"):
        app.subscriptions()


def test_a_decorator_without_its_name_is_refused_where_it_stands() -> None:
    with pytest.raises(SettingError, match=r'write it as @app.handler\("orders"\)'):
        App().handler(_plain)  # type: ignore[arg-type]  # it is refused, which is the test


async def _async_middleware(_delivery: Delivery) -> AsyncIterator[None]:
    yield


def _no_yield(_delivery: Delivery) -> None: ...
def _no_delivery() -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("middleware", "said"),
    [
        (_async_middleware, "the middleware _async_middleware is async: write it as def"),
        (_plain, "the middleware _plain has no yield"),
        (_no_yield, "the middleware _no_yield has no yield"),
        (_no_delivery, "the middleware _no_delivery takes one argument"),
    ],
)
def test_middleware_that_cannot_wrap_a_call_is_refused(middleware: Callable[..., Iterator[None]], said: str) -> None:
    app = App(settings=settings("redis://127.0.0.1:1"))
    app.handler("orders")(_plain)
    app.middleware(middleware)

    with pytest.raises(SettingError, match=said):
        app.subscriptions()


def test_a_library_touches_neither_the_root_logger_nor_signals_nor_starts_threads(server: Server) -> None:
    before = (threading.active_count(), list(logging.getLogger().handlers))

    app = App(settings=settings(server.url))
    app.handler("orders")(_plain)
    app.subscriptions()

    assert (threading.active_count(), list(logging.getLogger().handlers)) == before
