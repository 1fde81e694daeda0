"""The index through its outages: what it has not accepted is not called saved."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from redis.backoff import EqualJitterBackoff

from tasks.index.contract import Index, IndexUnavailableError
from tasks.indexer.progress import Progress

__all__ = ["Writing"]

T = TypeVar("T")

_BACKOFF = EqualJitterBackoff(base=0.2, cap=3.0)


class Writing:
    """One thread's access to the index, opened anew after each outage, and the progress that it tells of."""

    def __init__(self, index: Index, stop: threading.Event, turned: Callable[[], None]) -> None:
        """Nothing is opened before the first `run`; ``turned`` is called at each attempt."""
        self.index = index
        self.progress = Progress(0)
        self._stop = stop
        self._turned = turned
        self._is_open = False
        self._failing_since: float | None = None
        self._failures = 0
        self._next_at = 0.0
        self._log = logging.getLogger("townpost.indexer")

    @property
    def resting(self) -> bool:
        """It failed a moment ago, and is not to be asked yet."""
        return time.monotonic() < self._next_at

    def run(self, action: Callable[[], T], patience: float) -> T | None:
        """What ``action`` returns; None if the index did not accept it within so many seconds, or a stop came.

        Raises:
            SettingError: what INDEX_URL names can never be an index.
        """
        deadline = time.monotonic() + patience
        while True:
            self._turned()
            try:
                if not self._is_open:
                    self.index.open()
                    # it may be another, empty one now
                    self.progress = Progress(self.index.cursor())
                    self._is_open = True
                result = action()
            except IndexUnavailableError as error:
                self._failed(error)
            else:
                self._worked()
                return result
            if time.monotonic() >= deadline or self._stop.wait(max(0.0, self._next_at - time.monotonic())):
                return None

    def opened(self) -> bool:
        """For `run`: nothing but that."""
        return True

    def move(self, cursor: int) -> None:
        """For `run`: everything up to here is in the index."""
        self.progress.reach(cursor)
        self.index.move(self.progress.cursor)

    def restart(self) -> bool:
        """For `run`: as if nothing had been applied yet."""
        self.index.move(0)
        self.progress = Progress(0)
        return True

    def close(self) -> None:
        self.index.close()

    def _failed(self, error: IndexUnavailableError) -> None:
        self._is_open = False
        self._failures += 1
        self._next_at = time.monotonic() + _BACKOFF.compute(self._failures)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            self._log.error("%s; nothing is saved until it is mended", error)

    def _worked(self) -> None:
        if self._failing_since is not None:
            self._log.warning("the index is back after %.1f s", time.monotonic() - self._failing_since)
        self._failing_since = None
        self._failures = 0
        self._next_at = 0.0
