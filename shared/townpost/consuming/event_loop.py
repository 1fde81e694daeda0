"""Async handlers, all in one event loop: workers that help themselves from the backlog, one task each."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator, Sequence

from townpost.consuming.backlog import Backlog
from townpost.consuming.calls import Calls
from townpost.consuming.flights import Work
from townpost.consuming.routes import Route, finish
from townpost.verdicts import Reject

__all__ = ["LoopRunner", "Watchdog"]

_SWEEP_SECONDS = 0.1
_SLICE_SECONDS = 0.005
"""Handlers that never wait leave the loop to others so often."""
_CANCEL_SECONDS = 1.0
"""How long a cancelled handler may take to end; then it is cancelled again."""
_BLOCKED_SECONDS = 0.25
_GLANCE_SECONDS = 0.02
_LOST = "its lease was lost"
_LATE = "its time was up (HANDLER_TIMEOUT, or timeout=)"


class _Worker:
    """One task, and what it is at."""

    __slots__ = ("cancelled_at", "deadline", "expired", "task", "work")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.work: Work | None = None
        self.deadline = 0.0
        self.cancelled_at = 0.0
        self.expired = ""
        """Why its handler was cancelled."""


class LoopRunner:
    """Implements `townpost.consuming.runners.Runner`; made in the loop's own thread."""

    def __init__(self, calls: Calls, concurrency: int, loop: asyncio.AbstractEventLoop, log: logging.Logger) -> None:
        self._calls = calls
        self._concurrency = concurrency
        self._loop = loop
        self._log = log
        self._workers: set[_Worker] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._slice_began = 0.0
        self._ending = False
        self._ended = threading.Event()
        self._swallowed: set[str] = set()

    def start(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._slot = backlog.slot()
        self._loop.call_soon_threadsafe(self._sweep)

    def wake(self, count: int) -> None:
        # a loop that is woken for nothing sleeps longer than it was to: epoll counts whole milliseconds
        if self._idle or len(self._workers) < self._concurrency:
            self._loop.call_soon_threadsafe(self._kick, count)

    def end(self, seconds: float) -> int:
        until = time.monotonic() + seconds
        while self._backlog.running and time.monotonic() < until and not self._loop.is_closed():
            time.sleep(_GLANCE_SECONDS)
        left = self._backlog.running
        try:
            self._loop.call_soon_threadsafe(self._cancel_all)
            self._ended.wait(_CANCEL_SECONDS)
        except RuntimeError:  # its owner has closed it
            pass
        return left

    def _kick(self, count: int) -> None:
        """Begin with one worker: if its handlers never wait, it does all of the work, without a task for each."""
        self._wake(1)
        if count > 1:
            self._loop.call_soon(self._kick_others)

    def _kick_others(self) -> None:
        """Its first handler waits, or it has let others run: a worker for each message that is left."""
        self._wake(self._backlog.unbegun)

    def _wake(self, count: int) -> None:
        while count and self._idle:
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)
                count -= 1
        for _ in range(min(count, self._concurrency - len(self._workers))):
            worker = _Worker()
            self._workers.add(worker)
            worker.task = self._loop.create_task(self._run(worker), name="townpost-handler")

    def _cancel_all(self) -> None:
        self._ending = True
        for worker in self._workers:
            if worker.task is not None:
                worker.task.cancel()
        self._look_ended()

    def _look_ended(self) -> None:
        if self._ending and not self._workers:
            self._ended.set()

    async def _run(self, worker: _Worker) -> None:
        backlog = self._backlog
        try:
            while not self._ending:
                work = backlog.next(self._slot)
                if work is None:
                    await self._work_comes()
                else:
                    await self._do(worker, work)
        except asyncio.CancelledError:
            if worker.work is not None:
                backlog.dropped(self._slot)
        finally:
            self._workers.discard(worker)
            self._look_ended()

    async def _work_comes(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._idle.append(future)
        if self._backlog.unbegun and not self._backlog.stopped:
            # it came before the thread that takes could see that this worker is idle
            self._idle.pop()
            await asyncio.sleep(0)  # others run in any case
        else:
            await future

    async def _do(self, worker: _Worker, work: Work) -> None:
        calls, batch = self._calls, work.flight.batch
        now = time.monotonic()
        if now - self._slice_began > _SLICE_SECONDS:
            now = await self._let_others()
        started: Sequence[Generator[None, None, None]] = ()
        raised: BaseException | None = None
        route: Route | None = None
        try:
            route = calls.only or calls.route(work.messages[0])
            worker.work, worker.deadline = work, now + route.timeout
            if route.bare:
                await route.function(work.messages[0])  # type: ignore[misc]  # it is async, see Routes.add
            else:
                arguments, started = calls.prepared(route, batch, work.indexes, work.messages)
                await route.function(*arguments)  # type: ignore[misc]  # as above
        except asyncio.CancelledError as error:
            if self._ending and not worker.expired:
                raise
            raised = error
        except BaseException as error:  # noqa: BLE001 - whatever a user's code does ends here
            raised = error
        worker.work = None
        if worker.expired:
            place = None if raised is None else raised.__traceback__
            raised = self._cancelled(worker)
            if raised is not None:
                raised.__traceback__ = place  # where its time was up
            else:
                finish(started, asyncio.CancelledError())
                self._backlog.released(self._slot, work)
                return
        if raised is None and not started:
            self._backlog.ended(self._slot, work)
        else:
            failed = calls.over(route, started, raised, batch, work.indexes)
            self._backlog.ended(self._slot, work, failed, None if route is None else route.policy)

    async def _let_others(self) -> float:
        """It is not at work yet: only the end cancels it here."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._backlog.dropped(self._slot)
            raise
        self._slice_began = now = time.monotonic()
        return now

    def _cancelled(self, worker: _Worker) -> Exception | None:
        """What its handler failed with; None if it only lost its lease, which is no failure."""
        if worker.task is not None:
            worker.task.uncancel()
        expired, worker.expired, worker.cancelled_at = worker.expired, "", 0.0
        if expired is _LOST:
            self._log.warning("a handler was cancelled since its lease was lost: its message comes again")
            return None
        return TimeoutError(expired)

    def _sweep(self) -> None:
        """Cancel what takes too long, or has lost its lease: one look at all, instead of a timer for each."""
        now = time.monotonic()
        for worker in self._workers:
            work = worker.work
            if work is None or worker.task is None:
                continue
            batch = work.flight.leased
            lost = batch is not None and (batch.lost or now > batch.leased_until)
            if not worker.expired and (lost or now > worker.deadline):
                worker.expired = _LOST if lost else _LATE
                worker.cancelled_at = now
                worker.task.cancel()
            elif worker.expired and now - worker.cancelled_at > _CANCEL_SECONDS:
                self._tell_swallowed(work)
                worker.cancelled_at = now
                worker.task.cancel()
        if not (self._ending and not self._workers):
            self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _tell_swallowed(self, work: Work) -> None:
        try:
            name = self._calls.route(work.messages[0]).name
        except Reject:
            return
        if name not in self._swallowed:
            self._swallowed.add(name)
            self._log.error("the handler %s goes on although it was cancelled: it must let CancelledError pass", name)


class Watchdog:
    """A thread that notices when something blocks the event loop, and says once for each place what does."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: logging.Logger) -> None:
        self._loop = loop
        self._log = log
        self._thread_id = threading.get_ident()
        self._turned = time.monotonic()
        self._stop = threading.Event()
        self._known: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="loop-watchdog", daemon=True)

    def start(self) -> None:
        self._turn()
        self._thread.start()

    def close(self) -> None:
        self._stop.set()

    def _turn(self) -> None:
        self._turned = time.monotonic()
        if not self._stop.is_set():
            self._loop.call_later(_BLOCKED_SECONDS / 5, self._turn)

    def _run(self) -> None:
        place, since = "", 0.0
        while not self._stop.wait(_BLOCKED_SECONDS / 5):
            blocked = time.monotonic() - self._turned
            if blocked > _BLOCKED_SECONDS:
                place, since = self._place() or place, self._turned
            elif place:
                if place not in self._known:
                    self._known.add(place)
                    self._log.warning(
                        "the event loop was blocked for %.1f s at %s: nothing else ran meanwhile; call what blocks "
                        "with asyncio.to_thread, or write the handler as a plain function",
                        self._turned - since,
                        place,
                    )
                place = ""

    def _place(self) -> str:
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - documented in the sys module
        own = [one for one in traceback.extract_stack(frame) if "/asyncio/" not in one.filename]
        return f"{own[-1].filename}:{own[-1].lineno}" if own else ""
