"""A subscription: the handlers of one queue, channel or stream, and how many messages it handles at once."""

import asyncio
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from townpost.consuming.calls import Calls
from townpost.consuming.concurrent import Concurrent
from townpost.consuming.consumer import Consumer
from townpost.consuming.event_loop import LoopRunner
from townpost.consuming.handlers import Failed
from townpost.consuming.routes import Route, Routes
from townpost.consuming.runners import Runner, Threads
from townpost.errors import SettingError
from townpost.message import Message
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Batch
from townpost.settings import Settings
from townpost.verdicts import Reject

__all__ = ["ASYNC_CONCURRENCY", "Subscription"]

ASYNC_CONCURRENCY = 100
"""Of a subscription with async handlers that does not say."""


@dataclass(slots=True)
class Subscription:
    """One name on one pattern, for one group where there are groups."""

    pattern: str
    name: str
    settings: Settings
    concurrency: int | None = None
    routes: Routes = field(default_factory=Routes)

    @property
    def place(self) -> tuple[str, str, str]:
        """What distinguishes it from other subscriptions."""
        grouped = PATTERNS[self.pattern].guarantees.groups
        return self.pattern, self.name, self.settings.consumer_group if grouped else ""

    @property
    def at_once(self) -> int:
        """How many messages are handled at once."""
        if self.concurrency is not None:
            return self.concurrency
        return ASYNC_CONCURRENCY if self.routes.is_async and not self.routes.batch else 1

    def check(self) -> None:
        """Refuse what cannot be run.

        Raises:
            SettingError
        """
        if self.at_once < 1:
            raise SettingError(f"concurrency={self.at_once} on {self.name}: one message at a time is the least")

    def loop(self, stop: threading.Event, event_loop: asyncio.AbstractEventLoop | None) -> Consumer | Concurrent:
        """The loop that takes its messages and calls its handlers, until the stop."""
        log = logging.getLogger(f"townpost.{self.pattern}")
        calls = Calls(self.routes, self.name, log)
        if not self.routes.is_async and self.at_once == 1:
            consumer = Consumer(self.pattern, self.settings, Inline(calls, self.name), stop)
            if self.routes.wants_delivery:
                consumer.tell_attempts()
            return consumer

        def make_runner() -> Runner:
            if not self.routes.is_async:
                return Threads(calls, self.at_once, f"{self.name}-handler")
            if event_loop is None:
                raise SettingError(f"the handlers of {self.name} are async, and there is no event loop")
            return LoopRunner(calls, self.at_once, event_loop, log)

        return Concurrent(
            self.pattern,
            self.settings,
            make_runner,
            stop,
            concurrency=self.at_once,
            whole=self.routes.batch,
            sift=calls.sifted,
            tells_attempts=self.routes.wants_delivery,
        )


class Inline:
    """Implements `townpost.consuming.handlers.Handler`: plain functions, in the thread that takes."""

    def __init__(self, calls: Calls, source: str) -> None:
        self._calls = calls
        self._source = source
        self.whole = calls.routes.batch
        only = calls.routes.only
        self._bare = only if only is not None and only.bare else None
        self.logs_failures = True

    def __call__(self, batch: Batch, messages: Iterable[tuple[int, Message]], _already: int, failed: Failed) -> None:
        batch.source = self._source
        if self.whole:
            self._all(batch, messages, failed)
        elif self._bare is not None:
            self._each_bare(batch, messages, failed)
        else:
            for index, message in messages:
                self._one(batch, index, message, failed)

    def _each_bare(self, batch: Batch, messages: Iterable[tuple[int, Message]], failed: Failed) -> None:
        route = self._bare
        assert route is not None  # noqa: S101 - asked before
        function = route.function
        for index, message in messages:
            try:
                function(message)
            except BaseException as error:  # noqa: BLE001 - whatever a user's code does ends here
                self._fail(route, (index,), self._calls.over(route, (), error, batch, (index,)), failed)

    def _one(self, batch: Batch, index: int, message: Message, failed: Failed) -> None:
        try:
            route = self._calls.route(message)
        except Reject as rejected:
            self._calls.tell(None, rejected, batch, (index,))
            failed(index, rejected)
            return
        self._fail(route, (index,), self._calls.call(route, batch, (index,), (message,)), failed)

    def _all(self, batch: Batch, messages: Iterable[tuple[int, Message]], failed: Failed) -> None:
        taken = list(messages)
        indexes, good = self._calls.sifted(batch, [index for index, _ in taken], [one for _, one in taken], failed)
        if good:
            route = self._calls.route(good[0])
            self._fail(route, indexes, self._calls.call(route, batch, indexes, good), failed)

    @staticmethod
    def _fail(route: Route, indexes: tuple[int, ...], error: Exception | None, failed: Failed) -> None:
        if error is not None:
            for index in indexes:
                failed(index, error, route.policy)
