"""The threads of an app while it runs: one a subscription, those that report, and one that watches the event loop."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence

from townpost.consuming.event_loop import Watchdog
from townpost.consuming.subscriptions import Subscription
from townpost.errors import TownpostError
from townpost.heartbeat import Heartbeat, Loop
from townpost.patterns import PATTERNS
from townpost.text import printable

__all__ = ["Running"]

_GLANCE_SECONDS = 0.01


class Running:
    """They begin with `start` and end after `stop`."""

    def __init__(
        self, role: str, subscriptions: Sequence[Subscription], loop: asyncio.AbstractEventLoop, log: logging.Logger
    ) -> None:
        self.stop = threading.Event()
        self.failed = False
        self._log = log
        self._subscriptions = subscriptions
        self._loops = [one.loop(self.stop, loop) for one in subscriptions]
        self._threads = [
            threading.Thread(target=self._guard, args=(one,), name=one.name, daemon=True) for one in self._loops
        ]
        self._heartbeats = _heartbeats(role, subscriptions, self._loops, self.stop)
        is_async = any(one.routes.is_async for one in subscriptions)
        self._watchdog = Watchdog(loop, log) if is_async else None
        self._leaving = False
        self._tell_end: Callable[[], object] = lambda: None

    def on_end(self, call: Callable[[], object]) -> None:
        """Called from another thread if a loop ends by itself."""
        self._tell_end = call
        if self.stop.is_set():
            call()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        for heartbeat in self._heartbeats:
            heartbeat.start()
        if self._watchdog is not None:
            self._watchdog.start()

    @property
    def holds(self) -> bool:
        """Whether something was taken that is not answered. Sampled when read."""
        return any(loop.holds for loop in self._loops)

    @property
    def progress(self) -> tuple[int, int]:
        """How many messages were begun, and how many of them are answered. Sampled when read."""
        counts = [one for loop in self._loops for one in loop.counts.values()]
        return sum(c.received for c in counts), sum(c.handled + c.failed + c.unreadable for c in counts)

    def busy(self) -> list[str]:
        """Those that are at work; what only connects may be left."""
        alive = zip(self._subscriptions, self._loops, self._threads, strict=True)
        return [
            printable(f"{one.pattern} {one.name}")
            for one, loop, thread in alive
            if thread.is_alive() and not loop.abandonable
        ]

    def join(self) -> None:
        """Wait for the threads, and leave the totals in the log."""
        while self.busy():
            threading.Event().wait(_GLANCE_SECONDS)
        for loop in self._loops:
            for line in loop.totals():
                self._log.info("%s", line)
        for heartbeat in self._heartbeats:
            heartbeat.withdraw()
        if self._watchdog is not None:
            self._watchdog.close()

    async def leave(self) -> None:
        """Stop, and wait for the threads, whatever cancels this task: no lifespan may end under handlers at work.

        A thread of its own waits: those of the loop may all be taken by handlers.
        """
        self._leaving = True
        self.stop.set()
        loop, ended, cancelled = asyncio.get_running_loop(), asyncio.Event(), False

        def join() -> None:
            self.join()
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=join, name="townpost-end", daemon=True).start()
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    def _guard(self, loop: Loop) -> None:
        try:
            loop.run()
        except TownpostError as error:
            self.failed = True
            self._log.error("%s", error)
        except BaseException:  # noqa: BLE001 - logged with its traceback: a thread must not end in silence
            self.failed = True
            self._log.exception("the %s loop broke; this is a bug in Townpost", loop.name)
        self.stop.set()
        if not self._leaving:
            self._tell_end()


def _heartbeats(
    role: str, subscriptions: Sequence[Subscription], loops: Sequence[Loop], stop: threading.Event
) -> list[Heartbeat]:
    """A report has one name a pattern: as many reports as a pattern has names."""
    groups: list[dict[str, tuple[Subscription, Loop]]] = []
    for one, loop in zip(subscriptions, loops, strict=True):
        for group in groups:
            same_group = {each.settings.consumer_group for each, _ in group.values()} == {one.settings.consumer_group}
            if one.pattern not in group and same_group:
                group[one.pattern] = (one, loop)
                break
        else:
            groups.append({one.pattern: (one, loop)})
    made = []
    for number, group in enumerate(groups):
        first = next(iter(group.values()))[0].settings
        names = {PATTERNS[pattern].setting.lower(): one.name for pattern, (one, _) in group.items()}
        update: dict[str, object] = {"pattern": ",".join(group), **names}
        if number:
            update["health_file"] = None
        made.append(Heartbeat(role, first.model_copy(update=update), [loop for _, loop in group.values()], stop))
    if made and len(made) > 1:
        made[0].watch(loops)
    return made
