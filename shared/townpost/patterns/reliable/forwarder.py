"""Promotes delayed messages and retries when they are due. One consumer does it for all, in a thread of its own."""

import contextlib
import logging
import threading
import time

from townpost.errors import TownpostError, WrongTypeError
from townpost.keys import QueueKeys
from townpost.patterns.foreign import set_aside
from townpost.patterns.reliable.bounds import SCRIPT_BYTES
from townpost.patterns.reliable.scripts import FORWARD
from townpost.redis.connection import Connection

__all__ = ["TRUSTED_MS", "Forwarder"]

TRUSTED_MS = 11_000
"""A forwarder that was silent for so long may be replaced by another consumer."""

_WAIT_SECONDS = 5.0
_COUNTS_LIVE_MS = 24 * 3600 * 1000
_ELSEWHERE = -2  # the reply of forward.lua when another consumer is the forwarder
_LEAST_SECONDS = 0.001
_RESTART_SECONDS = 1.0
_FAREWELL_SECONDS = 0.3


class Forwarder:
    """Runs when a claim has elected this consumer as the forwarder; otherwise it is idle."""

    def __init__(self, keys: QueueKeys, connection: Connection, *, consumer: str) -> None:
        """Nothing runs before `start`.

        Args:
            keys: of the queue whose scheduled messages are promoted.
            connection: its own, connected when needed.
            consumer: as it stands in the key `forwarder`.
        """
        self._keys = keys
        self._connection = connection
        self._consumer = consumer
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._started = 0.0
        self.running = False
        self.elected = False
        """Whether this consumer is the forwarder, as far as it knows."""
        self._log = logging.getLogger("townpost.reliable")

    def start(self) -> None:
        """Begin to forward: this consumer was elected, or an outage has ended the thread."""
        self.elected = True
        if not self.running and not self._stop.is_set() and time.monotonic() - self._started > _RESTART_SECONDS:
            self._started = time.monotonic()
            self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)
            self.running = True
            try:
                self._thread.start()
            except RuntimeError:  # the system has no room for one more: it is tried again
                self.running, self._thread = False, None

    def close(self, connection: Connection) -> None:
        """Let another consumer be elected. The connection is the caller's, and may be closed."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and connection.connected:
            self._ring(connection)  # ends its wait
            thread.join(_FAREWELL_SECONDS)

    def _ring(self, connection: Connection) -> None:
        bell = self._keys.bell
        connection.pipeline([("LPUSH", bell, 1), ("PEXPIRE", bell, 1000)])

    def _run(self) -> None:
        try:
            self._connection.connect()
            while not self._stop.is_set():
                wait = self._forward()
                if wait == _ELSEWHERE:
                    self.elected = False
                    break
                seconds = _WAIT_SECONDS if wait < 0 else min(max(wait / 1000, _LEAST_SECONDS), _WAIT_SECONDS)
                self._connection.call("BLPOP", self._keys.bell, seconds, block=seconds)
            if self._stop.is_set():
                self._leave()
        except WrongTypeError:
            with contextlib.suppress(TownpostError):
                set_aside(self._connection, {self._keys.bell: "list"}, self._log)
        except TownpostError as error:
            # the consumer gets the same error, logs it, and starts this thread again
            self._log.debug("forwarding stopped: %s", error)
        finally:
            self._connection.close()
            self.running = False

    def _leave(self) -> None:
        """Only the forwarding thread calls this, so that it cannot be elected again afterwards."""
        place = self._keys.forwarder
        if self._connection.call("GET", place) == self._consumer.encode():
            self._connection.call("DEL", place)
        self._ring(self._connection)  # another consumer may have been elected meanwhile: then it looks once more

    def _forward(self) -> int:
        k = self._keys
        names = (
            *(k.queue, k.priority, k.scheduled, k.forwarder),
            *(k.counted, k.attempts, k.crashes, k.history, k.bell),
        )
        forwarding = FORWARD.whole(names, self._consumer, TRUSTED_MS, SCRIPT_BYTES, _COUNTS_LIVE_MS)
        reply = self._connection.call(*forwarding)
        if not isinstance(reply, int):
            raise TypeError(f"forward.lua answered {reply!r}")
        return reply
