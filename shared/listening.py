"""Listens on one pattern for as long as it takes: batches of deliveries, through every outage."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from shared.connection import Link, endpoint
from shared.counts import Counts
from shared.errors import RefusedError, SettingError, TownpostError
from shared.patterns import PATTERNS
from shared.patterns.contract import Batch, Delivery
from shared.prefetch import Prefetch
from shared.session import Session
from shared.settings import Settings

__all__ = ["Listening", "listen"]


class Listening:
    """One pattern's listener kept alive by a session. For one thread; `stop` may be set by any."""

    def __init__(self, name: str, settings: Settings, stop: threading.Event, counts: Counts | None = None) -> None:
        self.pattern = PATTERNS[name]
        self._settings = settings
        self._listener = self.pattern.listener(
            settings, Link(settings.url, name=f"townpost-{name}"), counts or Counts()
        )
        self.session = Session(
            name,
            self._opened,
            stop,
            connect_timeout=settings.connect_timeout,
            where=f"{endpoint(settings.url)}, listening on '{settings.name_of(self.pattern)}'",
            lost=self._listener.lost,
        )

    @property
    def unhandled_return(self) -> bool:
        return self._listener.unhandled_return

    def take(self, limit: int) -> Batch | None:
        """The next batch, which may be empty; None once stopped."""
        return self.session.run(lambda: self._taken(limit))

    def settle(self, batch: Batch) -> None:
        """See `Listener.settle`."""
        self._listener.settle(batch)

    def settle_if_possible(self, batch: Batch) -> None:
        """The same, with a line in the log where Redis does not answer."""
        try:
            self._listener.settle(batch)
        except TownpostError as error:
            fate = "come again" if self.pattern.guarantees.redelivers else "are lost"
            logging.getLogger(f"townpost.{self.pattern.name}").warning(
                "%s; %d messages that were not begun %s", error, len(batch.left), fate
            )

    def interrupt(self, control: Link) -> None:
        """See `Listener.interrupt`."""
        self._listener.interrupt(control)

    def close(self) -> None:
        self._listener.close()

    def _opened(self) -> None:
        try:
            self._listener.open()
        except RefusedError as error:
            raise self._settings.explain(self.pattern.name, error) from error

    def _taken(self, limit: int) -> Batch:
        try:
            return self._listener.take(limit)
        except RefusedError as error:
            raise self._settings.explain(self.pattern.name, error) from error


def listen(
    pattern: str, *, settings: Settings | None = None, stop: threading.Event | None = None
) -> Iterator[Delivery]:
    """Deliveries of one pattern, one after the other, through every outage of Redis.

    Answer each with `ack` or `fail` where the pattern redelivers. Leaving the loop puts back what it did not
    reach, where the pattern can do that.

    Args:
        pattern: the name of one pattern.
        settings: None reads the environment.
        stop: set it from anywhere to end the loop within a second.

    Raises:
        SettingError, GaveUpError, RefusedError: at the start only; later outages are waited out.
    """
    settings = settings or Settings.read(pattern=pattern)
    if pattern not in PATTERNS:
        raise SettingError(f"listen() takes one of {', '.join(PATTERNS)}, not '{pattern}'")
    listening = Listening(pattern, settings, stop or threading.Event())
    prefetch = Prefetch(settings.prefetch)
    with contextlib.closing(listening):
        while (batch := listening.take(prefetch.limit)) is not None:
            started = time.perf_counter()
            try:
                yield from batch
            finally:
                listening.settle_if_possible(batch)
            prefetch.worked(len(batch), time.perf_counter() - started)
