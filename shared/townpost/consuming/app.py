"""An application of handlers: `app.handler` registers them, `app.run()` or `async with app.running()` runs them."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from townpost import logs
from townpost.consuming.calls import own_trace, place
from townpost.consuming.lifespan import Lifespan
from townpost.consuming.options import check_options
from townpost.consuming.routes import Middleware, Route, check_middleware
from townpost.consuming.running import Running
from townpost.consuming.subscriptions import Subscription
from townpost.errors import SettingError, TownpostError
from townpost.patterns import PATTERNS
from townpost.settings import Settings
from townpost.text import printable, told

__all__ = ["App"]

F = TypeVar("F", bound=Callable[..., object])
M = TypeVar("M", bound=Middleware)

_QUIET_SECONDS = 1.0
"""A stop is logged only if it takes longer."""
_OPTIONS = (("timeout", "handler_timeout"), ("once", "once_seconds"), ("group", "consumer_group"))
"""The options of a handler, and the settings that they replace."""
_SWITCH_SECONDS = 0.0005
"""With Python's default of 5 ms, a computing thread makes a thread that waits for Redis ten times slower."""


class App:
    """Handlers, each on its own queue, channel or stream.

    app = App()

    @app.handler("orders", concurrency=50)
    async def charge(order: Order) -> None: ...
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        lifespan: Callable[["App"], AbstractAsyncContextManager[object]] | None = None,
        role: str = "subscriber",
    ) -> None:
        """Nothing is read, connected or started.

        Args:
            settings: None reads the environment, when it is first needed.
            lifespan: an async context manager, entered before the first message is taken and left after the last; in
                the event loop of the handlers.
            role: as logs and the dashboard show it.
        """
        self._settings = settings
        self._lifespan = lifespan
        self._lived: Lifespan[App] | None = None
        self._role = role
        self._registered: list[tuple[Callable[..., object], dict[str, Any]]] = []
        self._middleware: list[Middleware] = []
        self._log = logging.getLogger(f"townpost.{role}")
        self.failed = False
        """Whether something has ended the app."""
        self._entered = False

    @property
    def settings(self) -> Settings:
        """The settings, read once.

        Raises:
            SettingError
        """
        if self._settings is None:
            self._settings = Settings.read()
        return self._settings

    @contextlib.contextmanager
    def overridden(self, **changes: object) -> Iterator[None]:
        """Use these settings until the end of the block, in a test; settings read meanwhile are forgotten then."""
        before = self._settings
        try:
            if changes:
                self._settings = self.settings.model_copy(update=changes)
            yield
        finally:
            self._settings = before

    def handler(
        self,
        name: str,
        *,
        pattern: str = "reliable",
        type: str | None = None,  # noqa: A002 - the message's field
        concurrency: int | None = None,
        attempts: int | None = None,
        backoff: float | Sequence[float] | None = None,
        timeout: float | None = None,
        once: float | None = None,
        group: str | None = None,
    ) -> Callable[[F], F]:
        """Register a function. The decorator returns it unchanged.

        Args:
            name: of the queue, stream or channel; on pubsub a glob, too.
            pattern: pubsub, queue, reliable or stream.
            type: only messages of this type; others go to the handler without one.
            concurrency: how many messages are handled at once; by default 1 for ``def``, 100 for ``async def``. Order
                holds only with 1.
            attempts: after so many failures a message is a dead letter (reliable, stream); MAX_ATTEMPTS.
            backoff: seconds before the second attempt, doubling; or a list with the pause before each further one.
            timeout: seconds one call may take; HANDLER_TIMEOUT. An async handler is cancelled then.
            once: seconds for which the id of a handled message is stored, so that it is handled once; ONCE_SECONDS.
            group: of the stream; CONSUMER_GROUP.

        Raises:
            SettingError: if the name is missing. Other problems are raised when the app starts.
        """
        if callable(name):
            raise SettingError('@app.handler lacks the name of a queue: write it as @app.handler("orders")')
        options = {
            "name": name,
            "pattern": pattern,
            "type": type,
            "concurrency": concurrency,
            "attempts": attempts,
            "backoff": backoff,
            "timeout": timeout,
            "once": once,
            "group": group,
        }

        def register(function: F) -> F:
            self._registered.append((function, options))
            return function

        return register

    def middleware(self, function: M) -> M:
        """Register a generator function that wraps every call; the first one is the outermost.

        @app.middleware
        def timed(delivery: Delivery) -> Iterator[None]:
            started = time.monotonic()
            yield                                  # the handler runs here, and raises here
            log.info("%s took %.3f s", delivery.queue, time.monotonic() - started)
        """
        self._middleware.append(function)
        return function

    def subscriptions(self) -> list[Subscription]:
        """The subscriptions of all handlers, checked.

        Raises:
            SettingError: an unknown pattern, a signature that cannot be served, two handlers for one message.
        """
        if not self._registered:
            raise SettingError("the app has no handlers: register one with @app.handler(...)")
        found: dict[tuple[str, str, str], Subscription] = {}
        for wrapper in self._middleware:
            check_middleware(wrapper)
        for function, options in self._registered:
            check_options(options)
            one = self._subscription(options)
            subscription = found.setdefault(one.place, one)
            self._agree(subscription, one)
            route = Route.of(
                function,
                policy=one.settings.policy.changed(options["attempts"], options["backoff"]),
                timeout=one.settings.handler_timeout,
                middleware=tuple(self._middleware),
            )
            if route.batch and self._middleware:
                raise SettingError(f"the handler {route.name} takes a list, and middleware wraps single messages")
            try:
                subscription.routes.add(options["type"], route)
            except SettingError as error:
                raise SettingError(printable(f"the handlers of {options['name']!r}: {error}")) from None
        for subscription in found.values():
            most = max(route.policy.attempts for route in subscription.routes.by_type.values())
            subscription.settings = subscription.settings.model_copy(update={"max_attempts": most})
            subscription.check()
        return list(found.values())

    def _subscription(self, options: dict[str, Any]) -> Subscription:
        pattern, name = options["pattern"], options["name"]
        own: dict[str, object] = {"pattern": pattern, PATTERNS[pattern].setting.lower(): name}
        for option, setting in _OPTIONS:
            if options[option] is not None:
                own[setting] = options[option]
        settings = self.settings
        chosen = {field: getattr(settings, field) for field in settings.model_fields_set}
        try:
            settings = type(settings).read(**(chosen | own))
        except SettingError as error:
            raise SettingError(printable(f"the handlers of {name!r}: {_as_options(str(error), own)}")) from None
        concurrency = options["concurrency"] if options["concurrency"] is not None else settings.concurrency
        return Subscription(pattern, name, settings, concurrency)

    def _agree(self, first: Subscription, second: Subscription) -> None:
        """Check that handlers of one subscription agree on its options."""
        if first is second:
            return
        if second.concurrency is not None and first.concurrency not in (None, second.concurrency):
            raise SettingError(
                f"two handlers of {first.name} say concurrency={first.concurrency} and {second.concurrency}"
            )
        first.concurrency = first.concurrency or second.concurrency
        for name in ("handler_timeout", "once_seconds"):
            if getattr(first.settings, name) != getattr(second.settings, name):
                raise SettingError(f"two handlers of {first.name} disagree on {name.upper()}: it is the subscription's")

    def run(self) -> int:
        """Run in the main thread until SIGTERM or SIGINT. Returns the exit status.

        A second signal ends the process at once. Logs go to standard error.
        """
        try:
            logs.set_up(self.settings)
            logs.set_up_root(self.settings)
            sys.setswitchinterval(_SWITCH_SECONDS)
            runner = asyncio.Runner(loop_factory=_loop_factory())
            stalled = False
            try:
                stalled = runner.run(self._run())
            finally:
                if not stalled:
                    runner.close()
        except TownpostError as error:
            sys.stderr.write(f"{self._role}: {error}\n")
            return 2 if isinstance(error, SettingError) else 1
        except Exception as error:
            if self._lived is None or error is not self._lived.error:
                raise
            self._log.error(
                "the lifespan failed with %s: %s%s",
                *(type(error).__name__, told(error), place(error)),
                exc_info=own_trace(error),
            )
            return 1
        return 1 if self.failed else 0

    async def _run(self) -> bool:
        """Whether a task remains that does not end."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def on_signal(number: int) -> None:
            ended.set()
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal, number)
        async with self.running() as running:
            running.on_end(lambda: loop.call_soon_threadsafe(ended.set))
            await ended.wait()
            waiting = loop.call_later(_QUIET_SECONDS, self._say_waiting, running)
        waiting.cancel()
        return await _stalled()

    def _say_waiting(self, running: Running) -> None:
        for name in running.busy():
            self._log.info("waiting for what is at work: %s (a second signal ends it at once)", name)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        """Run inside this event loop, e.g. in the lifespan of a web application.

        It handles no signals and sets up no logs. On leaving, the app takes no further message, waits STOP_SECONDS for
        running handlers, and then cancels async ones.

        Raises:
            SettingError: see `subscriptions`.
        """
        if self._entered:
            raise SettingError("the app runs already")
        self._entered = True
        try:
            subscriptions = self.subscriptions()
            async with contextlib.AsyncExitStack() as stack:
                if self._lifespan is not None:
                    self._lived = Lifespan(self, self._lifespan)
                    await stack.enter_async_context(self._lived)
                running = Running(self._role, subscriptions, asyncio.get_running_loop(), self._log)
                running.start()
                try:
                    yield running
                finally:
                    await running.leave()
                    self.failed = self.failed or running.failed
        finally:
            self._entered = False


async def _stalled() -> bool:
    """Whether a task of this loop goes on although it is cancelled: waiting for it might never end."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    return bool(left and (await asyncio.wait(left, timeout=_QUIET_SECONDS))[1])


def _as_options(text: str, own: Mapping[str, object]) -> str:
    """The error of a setting, in the words of the argument of `handler` that replaces it."""
    named = {setting: option for option, setting in _OPTIONS}
    for setting in own:
        option = named.get(setting)
        text = text.replace(
            f"{setting.upper()} cannot be used", f"{option}= cannot be used" if option else "the name cannot be used"
        )
    return text.replace(". See .env.example", "")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[no-any-return]  # it has no annotations here
