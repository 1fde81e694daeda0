"""Calls a handler as an app does, without any server: routing, validation, middleware, the handler, the decision."""

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

from townpost.consuming.backlog import Backlog
from townpost.consuming.calls import Calls
from townpost.consuming.event_loop import LoopRunner
from townpost.consuming.subscriptions import Inline, Subscription
from townpost.counts import Counts
from townpost.errors import UnreadableError
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Batch
from townpost.patterns.leased import LeasedBatch
from townpost.testing.choosing import Target, UndeliverableError, app_of, choose
from townpost.testing.messages import Given, as_message
from townpost.testing.outcome import Outcome
from townpost.verdicts import Reject, decide

__all__ = ["adeliver", "deliver", "run_to_the_end"]


def deliver(
    target: Target,
    given: Given | bytes,
    *,
    queue: str | None = None,
    type: str | None = None,  # noqa: A002 - the message's field
    attempt: int = 1,
    pattern: str = "reliable",
    group: str | None = None,
    handled_before: bool = False,
) -> Outcome:
    """Deliver one message to its handler; nothing is connected, sent or waited for.

    A plain function is called in this thread, an async one in an event loop of its own. The lifespan of the app is not
    entered. A time limit ends async handlers only.

    Args:
        target: an app, or a handler; a handler alone has no middleware and the policy of the settings.
        given: a message; a pydantic model or a mapping, which becomes its `data`; or bytes as they lie in Redis.
        queue: where it comes from; may be left out where the app has one queue of this pattern.
        type: of the message; for a model by default the name of its class, as `Publisher.send` gives it.
        attempt: which one this is, from 1.
        pattern: pubsub, queue, reliable or stream.
        group: of the stream, where handlers of several groups read it.
        handled_before: whether a message of this id was handled a moment ago; where `once=` remembers that, the
            handler is not called.

    Raises:
        UndeliverableError: no handler takes from that queue, or takes messages of that type.
        SettingError: the app, or the environment, cannot be used.
    """
    delivery = _Delivery(target, given, queue=queue, type_=type, attempt=attempt, pattern=pattern, group=group)
    if handled_before and delivery.is_remembered:
        return Outcome(handled=True, duplicate=True, attempt=attempt)
    if delivery.is_async:
        run_to_the_end(delivery.run(), instead="await adeliver(...)")
    else:
        delivery.call()
    return delivery.outcome()


async def adeliver(
    target: Target,
    given: Given | bytes,
    *,
    queue: str | None = None,
    type: str | None = None,  # noqa: A002 - as above
    attempt: int = 1,
    pattern: str = "reliable",
    group: str | None = None,
    handled_before: bool = False,
) -> Outcome:
    """The same inside a running event loop, which async handlers share; a plain function is called in a thread."""
    delivery = _Delivery(target, given, queue=queue, type_=type, attempt=attempt, pattern=pattern, group=group)
    if handled_before and delivery.is_remembered:
        return Outcome(handled=True, duplicate=True, attempt=attempt)
    if delivery.is_async:
        await delivery.run()
    else:
        await asyncio.to_thread(delivery.call)
    return delivery.outcome()


def run_to_the_end(coroutine: Coroutine[Any, Any, None], *, instead: str) -> None:
    """In an event loop of its own.

    Raises:
        RuntimeError: one runs in this thread; ``instead`` is what to write there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    coroutine.close()
    raise RuntimeError(f"an event loop runs in this thread: write {instead}")


class _OneMessage(LeasedBatch):
    """A batch of one, as a consumer takes it; on every pattern, its answer is kept."""

    def __init__(self, pattern: str, source: str, payload: bytes, *, attempt: int, max_bytes: int) -> None:
        super().__init__(pattern, f"test:{source}", [payload], max_bytes)
        self.source = source
        self._attempt = attempt

    def attempt(self, index: int) -> int:  # noqa: ARG002 - there is one
        return self._attempt


class _Delivery:
    def __init__(
        self,
        target: Target,
        given: Given | bytes,
        *,
        queue: str | None,
        type_: str | None,
        attempt: int,
        pattern: str,
        group: str | None,
    ) -> None:
        if attempt < 1:
            raise ValueError(f"attempt={attempt}: the first attempt is 1")
        app = app_of(target, queue, pattern)
        with app.overridden():
            subscription = choose(app.subscriptions(), queue, pattern, group)
        payload = given if isinstance(given, bytes) else as_message(given, type_).encode()
        self._subscription = subscription
        self._batch = _OneMessage(
            *(pattern, queue or subscription.name, payload),
            attempt=attempt,
            max_bytes=subscription.settings.max_message_bytes,
        )
        self._log = logging.getLogger(f"townpost.{pattern}")
        self._calls = Calls(subscription.routes, subscription.name, self._log)
        _check_taken(subscription, self._batch)

    @property
    def is_async(self) -> bool:
        return self._subscription.routes.is_async

    @property
    def is_remembered(self) -> bool:
        """Whether a consumer would know that a message of this id was handled."""
        readable = isinstance(next(iter(self._batch.next_chunk())), Message)
        remembers = PATTERNS[self._subscription.pattern].guarantees.remembers
        return readable and remembers and self._subscription.settings.once_seconds > 0

    def call(self) -> None:
        """In this thread, as the thread that takes does where one message is at work at once."""
        batch = self._batch
        Inline(self._calls, batch.source)(batch, self._readable(), 0, batch.answered)

    def _readable(self) -> Iterator[tuple[int, Message]]:
        for index, message in self._batch.reading():
            if isinstance(message, UnreadableError):
                self._unreadable(self._batch, index, message)
            else:
                yield index, message

    def _unreadable(self, batch: Batch, index: int, problem: UnreadableError) -> None:
        self._log.warning("unreadable message: %s", problem)
        batch.answered(index, problem)

    async def run(self) -> None:
        """In this event loop, by the runner of async handlers."""
        loop = asyncio.get_running_loop()
        completed = asyncio.Event()
        backlog = Backlog(
            *(Counts(), threading.Event()),
            concurrency=1,
            whole=self._subscription.routes.batch,
            sift=self._calls.sifted,
            ahead=False,
            unreadable=self._unreadable,
            hear=None,
            settles=True,
        )
        backlog.changed = lambda: completed.set() if backlog.completed else None
        runner = LoopRunner(self._calls, 1, loop, self._log)
        runner.start(backlog)
        runner.wake(backlog.add(self._batch))
        try:
            await completed.wait()
        finally:
            await asyncio.to_thread(runner.end, 0)

    def outcome(self) -> Outcome:
        batch, attempt = self._batch, self._batch.attempt(0)
        if not batch.failures:
            return Outcome(handled=True, attempt=attempt)
        error, policy = batch.failures[0]
        if not PATTERNS[batch.pattern].guarantees.redelivers:
            return Outcome(error=error, attempt=attempt)
        policy = policy or next(iter(self._subscription.routes.by_type.values())).policy
        decision = decide(policy, error, attempt)
        pause = decision.pause if decision.dead is None else None
        return Outcome(retry_after=pause, dead=decision.dead, error=error, attempt=attempt)


def _check_taken(subscription: Subscription, batch: Batch) -> None:
    for message in batch.next_chunk():
        try:
            if isinstance(message, Message):
                subscription.routes.of(message)
        except Reject as refusal:
            where = f"'{subscription.name}' ({subscription.pattern})"
            raise UndeliverableError(f"{where}: {refusal}. It would be a dead letter, rejected") from None
