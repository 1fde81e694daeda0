"""Workers of one subscription: none sleeps while there is work, and one that ends leaves nothing behind."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

import pytest
from apps import until
from backlogs import backlog, claim
from messages import wire

from townpost.consuming.backlog import Backlog
from townpost.consuming.calls import Calls
from townpost.consuming.event_loop import LoopRunner
from townpost.consuming.flights import Slot, Work
from townpost.consuming.routes import Route, Routes
from townpost.consuming.runners import Threads
from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.patterns.leased import LeasedBatch
from townpost.verdicts import Policy

LOG = logging.getLogger("townpost.test")


def calls(handler: Callable[[Message], object]) -> Calls:
    routes = Routes()
    routes.add(None, Route.of(handler, policy=Policy(3, 0.01, 1), timeout=60))
    return Calls(routes, "orders", LOG)


def test_a_thread_that_is_about_to_sleep_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given one worker, which finds nothing more to do
    heard: list[str] = []

    def handle(message: Message) -> None:
        heard.append(message.message)

    shared, threads = backlog(), Threads(calls(handle), 1, "worker")
    following, looked = shared.next, threading.Event()

    def next_(slot: Slot) -> Work | None:
        work = following(slot)
        if work is None and not looked.is_set():
            looked.set()
            # When there is work right after it has looked
            threads.wake(shared.add(Batch("queue", [wire("second")])))
        return work

    monkeypatch.setattr(shared, "next", next_)
    threads.start(shared)
    threads.wake(shared.add(Batch("queue", [wire("first")])))

    # Then it does that
    until(lambda: heard == ["first", "second"], 5)
    threads.end(5)


def between_two_messages(then: Callable[[LoopRunner, Backlog], Awaitable[None]]) -> list[str]:
    """What was handled, if this is done while an async worker lets others run before its message."""
    heard: list[str] = []

    async def handle(message: Message) -> None:
        heard.append(message.message)

    async def main() -> None:
        shared = backlog()
        runner = LoopRunner(calls(handle), 1, asyncio.get_running_loop(), LOG)
        runner._backlog, runner._slot = shared, shared.slot()
        runner._kick(shared.add(claim(1)))
        await asyncio.sleep(0)
        assert (shared.running, heard) == (1, [])
        await then(runner, shared)
        runner._cancel_all()
        await asyncio.sleep(0)
        assert not runner._workers

    asyncio.run(main())
    return heard


def test_a_worker_that_is_ended_between_two_messages_has_nothing_at_work() -> None:
    async def end(runner: LoopRunner, shared: Backlog) -> None:
        runner._cancel_all()
        await asyncio.sleep(0)
        assert shared.running == 0

    assert between_two_messages(end) == []


def test_a_lease_that_is_lost_between_two_messages_does_not_end_the_worker() -> None:
    async def lose(runner: LoopRunner, shared: Backlog) -> None:
        (flight,) = shared.flights
        assert isinstance(flight.batch, LeasedBatch)
        flight.batch.lose()
        runner._sweep()
        await asyncio.sleep(0)
        assert len(runner._workers) == 1
        assert list(shared.completed) == [flight]

    assert between_two_messages(lose) == ["0"]


def test_a_stop_leaves_the_event_loop_alone() -> None:
    # Given a stop, and a batch of which nothing was begun
    async def handle(_: Message) -> None:
        raise AssertionError("begun after the stop")

    async def main() -> int:
        shared = backlog()
        runner = LoopRunner(calls(handle), 2, asyncio.get_running_loop(), LOG)
        runner._backlog, runner._slot = shared, shared.slot()
        shared._stopped = lambda: True
        runner._kick(shared.add(claim(10)))
        # When the loop turns a few times
        for _ in range(10):
            await asyncio.sleep(0)
        waiting = len(runner._idle)
        runner._cancel_all()
        await asyncio.sleep(0)
        return waiting

    # Then its workers wait
    assert asyncio.run(asyncio.wait_for(main(), 5)) == 2


def test_a_worker_that_cannot_start_another_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a system that has room for one thread
    heard: list[str] = []
    start, started = threading.Thread.start, threading.Event()

    def once(thread: threading.Thread) -> None:
        if started.is_set():
            raise RuntimeError("can't start new thread")
        started.set()
        start(thread)

    shared, threads = backlog(), Threads(calls(lambda message: heard.append(message.message)), 20, "worker")
    threads.start(shared)
    count = shared.add(claim(10))
    monkeypatch.setattr(threading.Thread, "start", once)

    threads.wake(count)

    until(lambda: len(heard) == 10, 5)
    threads.end(5)
