"""Where a contest takes place: a server that is ours alone, processes that cannot outlive us, one clock for all."""

import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.bench.child import Child, FailedError
from lab.bench.contestants import Contestant
from lab.bench.tally import Tally
from lab.bench.work import payloads
from lab.server import Server
from townpost import Connection, SettingError, TownpostError

__all__ = ["KEYS", "Ground", "Span", "ground"]

_LOOK_SECONDS = 0.002
_CHUNK = 500
_QUIET_SECONDS = 5.0
_START_SECONDS = 20.0
_SETTLE_SECONDS = 0.3
_MOST_SECONDS = 60.0
KEYS = {"queue": "message_queue", "reliable": "reliable_queue", "stream": "message_stream"}


class Span(NamedTuple):
    """What was timed."""

    seconds: float
    messages: int

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


class Ground:
    """One for a whole run; use `ground`."""

    def __init__(self, url: str, server_pid: int | None, folder: Path) -> None:
        self.url = url
        self.server_pid = server_pid
        self.folder = folder
        self.connection = Connection(url, name="townpost-bench")
        self.connection.connect()
        self.tally = Tally(folder / "tally")
        self._clients = self.info("connected_clients")
        self._children: list[Child] = []
        self._started = 0

    def info(self, field: str) -> float:
        """A number out of INFO; 0 if it is not there."""
        return float(self.text(field) or 0)

    def text(self, field: str) -> str:
        """The same as it stands."""
        reply = self.connection.call("INFO", "everything")
        lines = reply.decode().splitlines() if isinstance(reply, bytes) else []
        return next((line.partition(":")[2] for line in lines if line.startswith(f"{field}:")), "")

    def server_cpu(self) -> float:
        return self.info("used_cpu_user") + self.info("used_cpu_sys")

    def consumer(self, contestant: Contestant, mode: str = "count") -> Child:
        return self.start(
            contestant.module, python=contestant.python, environment={**contestant.environment, "BENCH_MODE": mode}
        )

    def start(self, module: Sequence[str], *, python: str = "", environment: Mapping[str, str] | None = None) -> Child:
        """``python -m MODULE...`` against the server; it counts in our tally."""
        ours = {"REDIS_URL": self.url, "BENCH_TALLY": str(self.tally.path), "CONNECT_TIMEOUT": "5"}
        self._started += 1
        log = self.folder / f"{self._started}.log"
        child = Child([python or sys.executable, "-m", *module], {**ours, **(environment or {})}, log)
        self._children.append(child)
        return child

    def run(self, module: Sequence[str], *, seconds: float, python: str = "") -> None:
        """The same until it ends.

        Raises:
            FailedError: it did not, or not well.
        """
        child = self.start(module, python=python)
        try:
            if child.wait(seconds):
                raise FailedError(child.complaint())
        finally:
            child.end()

    def clear(self) -> None:
        """No process, no key, no count is left; and Redis has noticed."""
        for child in self._children:
            child.end()
        self._children.clear()
        deadline = time.monotonic() + _QUIET_SECONDS
        # a consumer that was just killed must not be handed the next one's first message
        while self.info("connected_clients") > self._clients and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self.connection.call(
            "FLUSHDB", "SYNC"
        )  # or what is freed in the background is missing from the next one's memory
        self.tally.reset()

    def fill(self, pattern: str, count: int, size: int = 0) -> None:
        """The messages 1 to ``count`` where a pattern keeps them; for pubsub, to whoever listens now."""
        for chunk in self._chunks(payloads(count, size), size):
            if pattern == "stream":
                self.connection.pipeline([("XADD", KEYS[pattern], "*", "message", raw) for raw in chunk])
            elif pattern == "pubsub":
                self.connection.pipeline([("PUBLISH", "messages", raw) for raw in chunk])
            else:
                self.connection.call("RPUSH", KEYS[pattern], *chunk)

    def timed(
        self,
        goal: int,
        child: Child,
        *,
        progress: Callable[[], int] | None = None,
        seconds: float = _MOST_SECONDS,
        within: float = math.inf,
        at_first: Callable[[], None] = lambda: None,
        since: float | None = None,
    ) -> Span:
        """From the first look that sees something done to the one that sees everything done, or after `within` seconds.

        Args:
            goal: how many messages are to be handled.
            child: that handles them.
            progress: how many are; None for what the tally says.
            seconds: how long all of it may take.
            within: from the first of these two looks on; then it is enough.
            at_first: called at the first of these two looks.
            since: begin here instead (monotonic clock), with nothing done.

        Raises:
            FailedError: it ended early, or did not get there in time, or was too fast to be timed.
        """
        first = None if since is None else (since, 0)

        def looked(now: float, done: int) -> bool:
            nonlocal first
            if done and first is None:
                first = now, done
                at_first()
            return first is not None and now - first[0] >= within

        ended, done = self._looking(goal, child, progress or (lambda: self.tally.total), seconds, looked)
        begun, before = first or (ended, done)
        if done == before:
            raise FailedError(f"{goal:,} messages were done at first sight: too few to be timed")
        return Span(ended - begun, done - before)

    def reach(self, goal: int, child: Child) -> None:
        """Until so many are handled; raises the same."""
        self._looking(goal, child, lambda: self.tally.total, _MOST_SECONDS, lambda *_: False)

    @staticmethod
    def _looking(
        goal: int, child: Child, progress: Callable[[], int], seconds: float, looked: Callable[[float, int], bool]
    ) -> tuple[float, int]:
        deadline = time.monotonic() + seconds
        while True:
            done = progress()
            now = time.monotonic()
            if looked(now, done) or done >= goal:
                return now, done
            if now > deadline:
                raise FailedError(f"handled {done:,} of {goal:,} in {seconds:.0f} s: {child.complaint()}")
            if child.status is not None and progress() < goal:
                raise FailedError(f"ended with status {child.status} after {done:,}: {child.complaint()}")
            time.sleep(_LOOK_SECONDS)

    def await_idle(self, child: Child, connections: int = 1) -> None:
        """Until it has connected and settled down.

        Raises:
            FailedError: it has not, or it has ended.
        """
        deadline = time.monotonic() + _START_SECONDS
        while self.info("connected_clients") < self._clients + connections:
            if child.status is not None or time.monotonic() > deadline:
                raise FailedError(f"did not start: {child.complaint()}")
            time.sleep(10 * _LOOK_SECONDS)
        time.sleep(_SETTLE_SECONDS)

    @staticmethod
    def _chunks(made: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
        step = max(1, min(_CHUNK, 8 * 1024 * 1024 // max(size, 1)))
        for first in range(0, len(made), step):
            yield made[first : first + step]

    def close(self) -> None:
        with contextlib.suppress(TownpostError):
            self.clear()
        for child in self._children:
            child.end()
        self.connection.close()


@contextlib.contextmanager
def ground(url: str | None) -> Iterator[Ground]:
    """On a server of our own without persistence, or in an empty database of the one at ``url``.

    Raises:
        SettingError: that database holds something; it may be somebody's.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="townpost-bench-")))
        pid = None
        if url is None:
            server = stack.enter_context(Server(appendfsync=None))
            url, pid = server.url, server.pid
        here = Ground(url, pid, folder)
        if here.connection.call("DBSIZE"):
            here.connection.close()
            raise SettingError("the database of REDIS_URL is not empty; the bench empties it: name another, e.g. .../9")
        stack.callback(here.close)
        yield here
