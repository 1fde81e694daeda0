"""The thread that keeps the leases of a consumer's batches while the handler works, and splits those that overrun."""

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from townpost.errors import TownpostError
from townpost.patterns.leased import LeasedBatch
from townpost.redis.connection import Connection

__all__ = ["LeaseRenewer", "Upkeep", "renewal_pause"]

_RENEW_SECONDS = 1.0
_LOOK_SECONDS = 0.05
"""How often the held batches are checked."""
_AGAIN_SECONDS = 1.0
"""The pause before a failed split is tried again."""


def renewal_pause(lease: float) -> float:
    """Seconds between two renewals of a lease of so many seconds."""
    return min(_RENEW_SECONDS, lease / 3)


@dataclass(slots=True)
class _Held:
    """One lease that the renewer keeps."""

    batch: LeasedBatch
    """The renewer renews while the handler of this batch makes progress; for a claim ahead, of the one before."""
    leased_until: float
    """By the monotonic clock."""


class Upkeep(Protocol):
    """What a pattern does for held batches. The renewer's thread calls it, with its own connection."""

    def renew(self, connection: Connection, held: Mapping[str, LeasedBatch]) -> Collection[str]:
        """Extend these leases; return the names of the lost ones."""
        ...

    def split(self, connection: Connection, batch: LeasedBatch, first: int, ahead: Sequence[str]) -> Collection[str]:
        """Give back the unstarted messages, from this position on, and all claims made ahead.

        Returns the names of the claims ahead that were given back.
        """
        ...


class LeaseRenewer:
    """A thread with its own connection. It renews the leases of held batches, and splits those that overrun."""

    def __init__(
        self, name: str, connection: Connection, upkeep: Upkeep, *, lease: float, handler_timeout: float
    ) -> None:
        """Nothing runs before `hold`.

        Args:
            name: of the pattern, for the log.
            connection: its own, connected when needed.
            upkeep: the pattern's.
            lease: seconds.
            handler_timeout: seconds one message may take.
        """
        self._connection = connection
        self._upkeep = upkeep
        self._lease = lease
        self._pause = renewal_pause(lease)
        self._handler_timeout = handler_timeout
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._splitting = threading.Lock()
        self._work = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._log = logging.getLogger(f"townpost.{name}")
        self._stalled = ""

    def hold(self, name: str, by: LeasedBatch, leased_until: float) -> None:
        """Keep this lease while the handler of ``by`` makes progress: its own batch, or the one before it."""
        with self._lock:
            self._held[name] = _Held(by, leased_until)
            self._work.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="renewer", daemon=True)
            self._thread.start()

    def holds(self, name: str) -> bool:
        """Whether the renewer keeps this lease."""
        with self._lock:
            return name in self._held

    def release(self, name: str) -> float | None:
        """Stop keeping it. Returns its end by the monotonic clock; None if it is lost, was given back or never held."""
        with self._splitting, self._lock:  # a claim that is being given back is not ours any more
            held = self._held.pop(name, None)
            if not self._held:
                self._work.clear()
        return None if held is None else held.leased_until

    def close(self) -> None:
        self._closed.set()
        self._work.set()

    def _run(self) -> None:
        renew_at = time.monotonic() + self._pause
        said = False
        while not self._closed.wait(min(_LOOK_SECONDS, self._pause)):
            if not self._work.is_set():
                self._work.wait()
                renew_at = time.monotonic() + self._pause
                continue
            now = time.monotonic()
            try:
                self._split_overrun(now)
                if now >= renew_at:
                    renew_at = now + self._pause
                    self._renew(now)
                    said = False
            except TownpostError as error:
                self._connection.close()
                if not said:  # the listener logs each attempt
                    self._log.warning("leases cannot be renewed: %s", error)
                said = True
        self._connection.close()

    def _snapshot(self) -> dict[str, _Held]:
        with self._lock:
            return dict(self._held)

    def _connect(self) -> None:
        if not self._connection.connected:
            self._connection.connect()

    def _renew(self, now: float) -> None:
        held = {name: one for name, one in self._snapshot().items() if self._alive(one.batch)}
        if not held:
            return
        self._connect()
        lost = self._upkeep.renew(self._connection, {name: one.batch for name, one in held.items()})
        for name, one in held.items():
            if name not in lost:
                one.leased_until = now + self._lease
                if name == one.batch.name:
                    one.batch.leased_until = one.leased_until
            elif name == one.batch.name:
                one.batch.lose()
                with self._lock:
                    self._held.pop(name, None)
            # a claim made ahead may not exist yet; if it is lost, its lease ends by our own clock

    def _split_overrun(self, now: float) -> None:
        held = self._snapshot()
        for name, one in held.items():
            batch = one.batch
            if name != batch.name or batch.split or now < batch.overrun_at:
                continue
            ahead = [other for other, behind in held.items() if behind.batch is batch and other != name]
            if batch.position >= len(batch) and not ahead:
                continue
            batch.overrun_at = now + _AGAIN_SECONDS  # if this fails, it is tried again then
            first = batch.stop_beginning()
            with self._splitting:
                self._connect()
                returned = self._upkeep.split(self._connection, batch, first, ahead)
                with self._lock:
                    for other in returned:
                        self._held.pop(other, None)
            batch.split = set(ahead) <= set(returned)  # otherwise a claim ahead did not exist yet

    def _alive(self, batch: LeasedBatch) -> bool:
        """Whether its handler makes progress."""
        seconds = batch.idle(time.monotonic())
        if not batch.open or seconds <= self._handler_timeout * (1 if batch.at_once else max(1, batch.begun)):
            return True
        if batch.name != self._stalled:
            self._stalled = batch.name
            self._log.error(
                "the handler has been at one message for %.0f s (HANDLER_TIMEOUT=%g): its lease is left to run out",
                seconds,
                self._handler_timeout,
            )
        return False
