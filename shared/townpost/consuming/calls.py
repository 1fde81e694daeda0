"""Calls a handler for one message or one batch, and logs its failures."""

import logging
import os
import sysconfig
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType

from townpost.consuming.routes import Route, Routes, failure, finish, start
from townpost.errors import UnreadableError
from townpost.message import Message
from townpost.patterns.contract import Batch, Delivery
from townpost.text import excerpt, told
from townpost.verdicts import Reject, Retry

__all__ = ["Calls", "own_trace", "place"]

_OURS = str(Path(__file__).parents[1]) + os.sep
_INSTALLED = (sysconfig.get_path("purelib") + os.sep, sysconfig.get_path("stdlib") + os.sep)


class Calls:
    """The calls of one subscription. Any thread may use it."""

    def __init__(self, routes: Routes, source: str, log: logging.Logger) -> None:
        self.routes = routes
        self._source = source
        self._log = log
        self.only = routes.only
        """The handler of all messages, if there is only one."""
        self._known: set[str] = set()

    def route(self, message: Message) -> Route:
        """The handler of this message.

        Raises:
            Reject: there is none.
        """
        return self.only or self.routes.of(message)

    def sifted(
        self,
        batch: Batch,
        indexes: Sequence[int],
        messages: Sequence[Message],
        failed: Callable[[int, Exception], object],
    ) -> tuple[tuple[int, ...], tuple[Message, ...]]:
        """The messages of a batch that a handler of lists accepts; ``failed`` is called with the others."""
        route = self.only
        if route is None or not route.batch or route.model is None:
            return tuple(indexes), tuple(messages)
        good: list[tuple[int, Message]] = []
        for index, message in zip(indexes, messages, strict=True):
            try:
                route.arguments(message, None)
            except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
                self.tell(route, error, batch, (index,))
                failed(index, error)
            else:
                good.append((index, message))
        return tuple(index for index, _ in good), tuple(message for _, message in good)

    def prepared(
        self, route: Route, batch: Batch, indexes: Sequence[int], messages: Sequence[Message]
    ) -> tuple[list[object], Sequence[Generator[None, None, None]]]:
        """Start the middleware. Returns the arguments, and the middleware to end.

        Raises:
            UnreadableError: the handler does not accept a payload.
        """
        if route.batch:
            return [[route.arguments(message, None)[0] for message in messages]], ()
        delivery = None
        if route.wants_delivery:
            delivery = Delivery(batch, indexes[0], messages[0])
            delivery.deadline = time.monotonic() + route.timeout
        arguments = route.arguments(messages[0], delivery)
        return arguments, start(route.middleware, delivery) if delivery is not None and route.middleware else ()

    def call(self, route: Route, batch: Batch, indexes: Sequence[int], messages: Sequence[Message]) -> Exception | None:
        """Call a plain function. Logs and returns its error."""
        started: Sequence[Generator[None, None, None]] = ()
        error: BaseException | None = None
        try:
            arguments, started = self.prepared(route, batch, indexes, messages)
            route.function(*arguments)
        except BaseException as raised:  # noqa: BLE001 - every error of a user's code ends here
            error = raised
        return self.over(route, started, error, batch, indexes)

    def over(
        self,
        route: Route | None,
        started: Sequence[Generator[None, None, None]],
        error: BaseException | None,
        batch: Batch,
        indexes: Sequence[int],
    ) -> Exception | None:
        """End the middleware. Logs and returns the error that is left."""
        if started:
            error = finish(started, error)
        if error is None:
            return None
        failed = failure(error)
        self.tell(route, failed, batch, indexes)
        return failed

    def tell(self, route: Route | None, error: Exception, batch: Batch, indexes: Sequence[int]) -> None:
        """Log a failure; with the frames of the user's code if this error is new."""
        name = self._source if route is None else f"{self._source}: {route.name}"
        if isinstance(error, Retry):
            when = "" if error.after is None else f" after {error.after:g} s"
            self._log.info("%s asks for a retry%s: %s", name, when, told(error) or "no reason given")
        elif isinstance(error, Reject):
            self._log.warning("%s rejected a message: %s", name, told(error) or "no reason given")
        elif isinstance(error, UnreadableError):
            self._log.warning("%s cannot take a message: %s: %s", name, error, excerpt(batch.payloads[indexes[0]]))
        else:
            where = place(error)
            new = where not in self._known
            self._known.add(where)
            many = f" (with {len(indexes):,} messages)" if len(indexes) > 1 else ""
            self._log.error(
                "%s failed with %s: %s%s%s",
                *(name, type(error).__name__, told(error), many, where),
                exc_info=own_trace(error) if new else None,
            )


def place(error: BaseException) -> str:
    """Where in the user's code it was raised; in a library if the traceback has none of the user's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    own = [frame for frame in frames if not frame.filename.startswith(_INSTALLED)]
    return next((f" at {frame.filename}:{frame.lineno}" for frame in reversed(own or frames)), "")


def own_trace(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType] | None:
    """Its traceback from the user's code on; None if the user's code is not in it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((_OURS, *_INSTALLED)):
        trace = trace.tb_next
    return None if trace is None else (type(error), error, trace)
