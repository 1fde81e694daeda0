"""The only loop that retries: it continues a piece of work after every outage of Redis.

Before the first success a missing Redis is given CONNECT_TIMEOUT seconds, and a refusal (wrong password, ACL,
wrong type) is final: a setting is wrong. After it, nothing is final: the loop waits for Redis without end.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from townpost.errors import FullError, GaveUpError, RefusedError, UnavailableError
from townpost.redis.backoff import Backoff

__all__ = ["Reconnector"]

P = ParamSpec("P")
T = TypeVar("T")


class Reconnector:
    """One thread's connection to Redis over the life of the service."""

    def __init__(
        self,
        name: str,
        open_: Callable[[], None],
        stop: threading.Event,
        *,
        connect_timeout: float,
        where: str,
        lost: Callable[[], str] | None = None,
        explain: Callable[[RefusedError], RefusedError] | None = None,
        quiet: bool = False,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            name: stands in front of its log lines.
            open_: connects, and whatever else a fresh connection needs.
            stop: ends every wait.
            connect_timeout: seconds the first connection may take.
            where: the address, for the log.
            lost: says what an outage may have cost.
            explain: adds to a refusal which setting may be to blame.
            quiet: another one of the same service speaks of outages, and gives up at the start.
        """
        self._log = logging.getLogger(f"townpost.{name}")
        self._quiet = quiet
        self._open = open_
        self._stop = stop
        self._connect_timeout = connect_timeout
        self._where = where
        self._lost = lost
        self._explain = explain
        self._is_open = False
        self.worked = quiet
        """Whether anything was ever done here."""
        self._backoff = Backoff(proved=False)
        self._failing_since: float | None = None
        self._said = ""
        self._said_connected = False
        self._gone = False
        self.connecting = False
        """True while nothing is in flight but a connection attempt: a stop need not wait for it."""
        self.outages = 0

    def run(self, action: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
        """Call ``action`` with these arguments until Redis answers; return its result, or None after a stop.

        Raises:
            GaveUpError, RefusedError: only before anything has worked.
        """
        while not self._stop.is_set():
            try:
                if not self._is_open:
                    self._connect()
                    if self._stop.is_set():
                        break  # the caller that stopped us may be gone already, so nothing may be begun
                result = action(*arguments, **options)
            except UnavailableError as error:
                self._unavailable(error)
            except RefusedError as error:
                self._refused(error if self._explain is None else self._explain(error), error)
            else:
                if self._failing_since is not None or not self._backoff.proved:
                    self._recovered()
                return result
        return None

    def _connect(self) -> None:
        self.connecting = True
        try:
            self._open()
        finally:
            self.connecting = False
        self._is_open = True
        if not self.worked and not self._said_connected:
            self._said_connected = True
            self._log.info("connected to Redis at %s", self._where)

    def _recovered(self) -> None:
        if self._failing_since is not None and self.worked:
            seconds = time.monotonic() - self._failing_since
            if self._gone:
                self._say(
                    logging.WARNING, "Redis is back after %.1f s%s", seconds, f": {self._lost()}" if self._lost else ""
                )
            else:
                self._say(logging.WARNING, "it works again after %.1f s", seconds)
        self.worked = True
        self._backoff.worked()
        self._failing_since = None
        self._gone = False
        self._said = ""

    def _unavailable(self, error: UnavailableError) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if not self._gone:
            self._gone = True
            self.outages += self.worked
        if not self.worked and now - self._failing_since >= self._connect_timeout:
            raise GaveUpError(
                f"{error}; gave up after CONNECT_TIMEOUT={self._connect_timeout:g} s: "
                "start Redis there, or say in REDIS_URL (or REDIS_HOST and REDIS_PORT) where it is"
            ) from error
        self._is_open = False
        pause = self._backoff.pause()
        if not pause:  # each moment away from pub/sub costs messages
            self._say(logging.WARNING, "%s; connecting again at once", error)
            return
        if not self.worked:
            pause = min(pause, self._failing_since + self._connect_timeout - now)
        self._say(logging.WARNING, "%s; attempt %d, next in %.1f s", error, self._backoff.failures, pause)
        self._wait(pause)

    def _refused(self, error: RefusedError, cause: RefusedError) -> None:
        if not self.worked and not isinstance(error, FullError):  # full is a state, not a setting
            raise error from (None if error is cause else cause)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        full = isinstance(error, FullError)  # that passes by itself, as soon as somebody drains
        if str(error) != self._said:  # once, not at every attempt: it stays true until somebody mends it
            self._said = str(error)
            self._say(logging.ERROR, "%s; %s", error, "waiting for room" if full else "trying again until it is mended")
        self._wait(self._backoff.refused(passes=full))

    def _wait(self, seconds: float) -> None:
        self.connecting = True
        try:
            self._stop.wait(seconds)
        finally:
            self.connecting = False

    def _say(self, level: int, text: str, *values: object) -> None:
        self._log.log(logging.DEBUG if self._quiet else level, text, *values)
