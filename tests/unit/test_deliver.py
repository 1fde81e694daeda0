"""A message delivered to its handler in a test, without any server."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from townpost import App, Delivery, Message, Reject, Retry, SettingError, Settings
from townpost.testing import Outcome, UndeliverableError, adeliver, deliver

BOTH = pytest.mark.parametrize("is_async", [False, True])
ALL = pytest.mark.parametrize("pattern", ["pubsub", "queue", "reliable", "stream"])


class Order(BaseModel):
    number: int


def failing(error: Exception, *, is_async: bool = False, **options: object) -> App:
    """An app whose handler of orders raises this."""
    app = App()

    async def araise(_: Message) -> None:
        raise error

    def raise_(_: Message) -> None:
        raise error

    app.handler("orders", **options)(araise if is_async else raise_)  # type: ignore[arg-type]  # **options is of several types
    return app


@ALL
@BOTH
def test_a_handler_gets_the_message_as_it_would_from_redis(pattern: str, *, is_async: bool) -> None:
    # Given an app with one handler
    got: list[tuple[int, str, str, int]] = []
    app = App()

    def note(order: Order, delivery: Delivery) -> None:
        got.append((order.number, delivery.queue, delivery.pattern, delivery.attempt))

    async def anote(order: Order, delivery: Delivery) -> None:
        note(order, delivery)

    app.handler("orders", pattern=pattern)(anote if is_async else note)

    # When a model is delivered
    outcome = deliver(app, Order(number=7), pattern=pattern)

    # Then it was called with it
    assert outcome == Outcome(handled=True)
    assert got == [(7, "orders", pattern, 1)]


def test_a_handler_needs_no_app() -> None:
    heard: list[str] = []

    outcome = deliver(lambda message: heard.append(message.message), Message.create("hello"))

    assert outcome.handled
    assert heard == ["hello"]


def test_the_queue_and_the_type_choose_the_handler() -> None:
    # Given handlers of two queues, one of them by type
    called: list[str] = []
    app = App()
    app.handler("mail")(lambda _: called.append("mail"))
    app.handler("orders", type="order.placed")(lambda _: called.append("placed"))
    app.handler("orders")(lambda _: called.append("other"))

    # When messages come to one and to the other
    deliver(app, {}, queue="orders", type="order.placed")
    deliver(app, Message.create("hi", type="order.gone"), queue="orders")
    deliver(app, {}, queue="mail")

    assert called == ["placed", "other", "mail"]


def test_a_channel_of_a_glob_has_its_handler() -> None:
    channels: list[str] = []
    app = App()

    @app.handler("orders.*", pattern="pubsub")
    def note(_message: Message, delivery: Delivery) -> None:
        channels.append(delivery.queue)

    assert deliver(app, {}, queue="orders.eu", pattern="pubsub").handled
    assert channels == ["orders.eu"]


def test_a_batch_handler_gets_a_list_of_one() -> None:
    sizes: list[int] = []

    def note(orders: list[Order]) -> None:
        sizes.append(len(orders))

    assert deliver(note, Order(number=1)).handled
    assert sizes == [1]


@BOTH
def test_a_failure_is_retried_after_the_back_off_at_most(*, is_async: bool) -> None:
    app = failing(KeyError("no such customer"), is_async=is_async, attempts=4, backoff=2)

    pauses = [deliver(app, {}, attempt=attempt).retry_after for attempt in (1, 2, 3)]

    assert pauses == [2, 4, 8]


@BOTH
def test_a_list_of_pauses_is_exact_and_the_last_one_repeats(*, is_async: bool) -> None:
    app = failing(ValueError(), is_async=is_async, attempts=9, backoff=[1, 10])

    assert [deliver(app, {}, attempt=attempt).retry_after for attempt in (1, 2, 3)] == [1, 10, 10]


@BOTH
@pytest.mark.parametrize("pattern", ["reliable", "stream"])
def test_after_its_attempts_it_is_dead(pattern: str, *, is_async: bool) -> None:
    error = ValueError("no")
    app = failing(error, is_async=is_async, attempts=3, pattern=pattern)

    outcome = deliver(app, {}, attempt=3, pattern=pattern)

    assert outcome == Outcome(dead="failed", error=error, attempt=3)


@BOTH
def test_a_handler_says_when_and_when_never(*, is_async: bool) -> None:
    later = deliver(failing(Retry("closed", after=30), is_async=is_async), {})
    never = deliver(failing(Reject("not ours"), is_async=is_async), {})

    assert (later.retry_after, later.dead) == (30, None)
    assert (never.retry_after, never.dead, str(never.error)) == (None, "rejected", "not ours")


@pytest.mark.parametrize("pattern", ["pubsub", "queue"])
def test_what_fails_where_nothing_comes_again_is_lost(pattern: str) -> None:
    outcome = deliver(failing(ValueError(), pattern=pattern), {}, pattern=pattern)

    assert outcome.lost
    assert not outcome.handled
    assert isinstance(outcome.error, ValueError)


@BOTH
def test_a_payload_that_does_not_validate_is_dead_and_never_reaches_the_handler(*, is_async: bool) -> None:
    called: list[Order] = []

    def charge(order: Order) -> None:
        called.append(order)

    async def acharge(order: Order) -> None:
        called.append(order)

    outcome = deliver(acharge if is_async else charge, {"number": "seven"})

    assert outcome.dead == "unreadable"
    assert "number: Input should be a valid integer" in str(outcome.error)
    assert called == []


@BOTH
def test_bytes_that_are_no_message_are_dead(*, is_async: bool) -> None:
    assert deliver(failing(ValueError(), is_async=is_async), b"{").dead == "unreadable"


def test_a_message_over_the_limit_is_dead() -> None:
    app = App(settings=Settings.read(max_message_bytes=1000))
    app.handler("orders")(lambda _: None)

    assert deliver(app, Message.create("x" * 1000)).dead == "unreadable"


@BOTH
def test_middleware_wraps_the_call(*, is_async: bool) -> None:
    # Given a middleware that turns an error into a rejection
    app = failing(KeyError("customer"), is_async=is_async)
    seen: list[int] = []

    @app.middleware
    def translated(delivery: Delivery) -> Iterator[None]:
        seen.append(delivery.attempt)
        try:
            yield
        except KeyError as error:
            raise Reject(f"unknown {error}") from None

    outcome = deliver(app, {}, attempt=2)

    assert (outcome.dead, str(outcome.error)) == ("rejected", "unknown 'customer'")
    assert seen == [2]


def test_an_async_handler_is_cancelled_when_its_time_is_up() -> None:
    app = App()

    @app.handler("orders", timeout=0.05)
    async def hang(_: Message) -> None:
        await asyncio.sleep(60)

    outcome = deliver(app, {})

    assert isinstance(outcome.error, TimeoutError)
    assert outcome.retry_after == 1


def test_inside_a_running_loop_it_is_awaited() -> None:
    # Given a client that belongs to the loop of the test
    async def test() -> tuple[Outcome, Outcome]:
        mine = asyncio.get_running_loop().create_future()

        async def answer(message: Message) -> None:
            mine.set_result(message.message)

        def plain(_: Message) -> None:
            assert threading.current_thread() is not threading.main_thread()

        outcomes = await adeliver(answer, Message.create("hello")), await adeliver(plain, {})
        assert await mine == "hello"
        return outcomes

    assert asyncio.run(test()) == (Outcome(handled=True), Outcome(handled=True))


def test_the_wrong_one_of_both_says_which_is_right() -> None:
    async def test() -> None:
        deliver(failing(ValueError(), is_async=True), {})

    with pytest.raises(RuntimeError, match=r"write await adeliver\(\.\.\.\)"):
        asyncio.run(test())


def two_queues() -> App:
    app = App()
    app.handler("orders", type="order.placed")(lambda _: None)
    app.handler("mail")(lambda _: None)
    app.handler("log", pattern="stream", group="a")(lambda _: None)
    app.handler("log", pattern="stream", group="b")(lambda _: None)
    return app


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"queue": "ordres"},
            "no handler takes from 'ordres' with pattern='reliable': the app has 'orders' (reliable)",
        ),
        ({}, "2 subscriptions take this message, say queue=: the app has 'orders' (reliable), 'mail' (reliable)"),
        ({"queue": "log", "pattern": "stream"}, "say group=: the app has"),
        ({"queue": "orders", "type": "order.lost"}, "no handler for messages of type 'order.lost'"),
        ({"pattern": "queue"}, "no handler takes from any queue with pattern='queue'"),
    ],
)
def test_what_no_handler_takes_is_an_error_of_the_test(options: dict[str, str], why: str) -> None:
    with pytest.raises(UndeliverableError) as raised:
        deliver(two_queues(), {}, **options)  # type: ignore[arg-type]  # **options is of several types

    assert why in str(raised.value)


@BOTH
def test_what_was_handled_before_is_not_handled_again_where_once_says_so(*, is_async: bool) -> None:
    remembers = failing(ValueError("called"), is_async=is_async, once=60)
    forgets = failing(ValueError("called"), is_async=is_async)

    assert deliver(remembers, Order(number=7), handled_before=True) == Outcome(handled=True, duplicate=True)
    assert str(deliver(remembers, Order(number=7)).error) == "called"
    assert str(deliver(forgets, Order(number=7), handled_before=True).error) == "called"


def test_what_cannot_be_read_has_no_id_to_remember() -> None:
    assert deliver(failing(ValueError(), once=60), b"rubbish", handled_before=True).dead == "unreadable"


def test_a_group_chooses_among_several() -> None:
    assert deliver(two_queues(), {}, queue="log", pattern="stream", group="b").handled


def test_an_app_that_cannot_be_served_says_so() -> None:
    app = App()
    app.handler("orders")(lambda: None)

    with pytest.raises(SettingError, match="it takes no argument"):
        deliver(app, {})


def test_the_settings_are_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    app = failing(ValueError())
    deliver(app, {})
    monkeypatch.setenv("MAX_ATTEMPTS", "1")

    assert deliver(app, {}).dead == "failed"


def test_the_library_does_not_import_what_is_for_tests() -> None:
    source = "import sys, townpost; townpost.App(); townpost.Publisher; print(*sorted(sys.modules))"
    path = str(Path(__file__).parents[2] / "shared")
    run = subprocess.run(
        [sys.executable, "-c", source], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )

    assert "townpost.consuming.app" in run.stdout.split()
    assert not [name for name in run.stdout.split() if name.startswith(("townpost.testing", "pytest"))]
