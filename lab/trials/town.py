"""One trial's town: a server, a publisher that is fed, consumers that are watched, and ways to hurt them.

One thread does it all: whoever waits here keeps the messages flowing and the journals read.
"""

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from lab.processes import Process
from lab.proxy import Proxy
from lab.server import Server
from lab.trials.crew import Crew, Member
from lab.trials.fault import Fault, NotStruckError
from lab.trials.feed import Feed
from lab.trials.records import Records
from lab.trials.subjects import Subject

__all__ = ["CancelledError", "Town"]

_GLANCE_SECONDS = 0.02
_START_SECONDS = 30.0
_DRAIN_SECONDS = 30.0
_HOUR = 3600
_LOOP = ("lab.trials.loop",)


class CancelledError(Exception):
    """Somebody pressed Ctrl-C."""


class Town:
    """Use it in a `with`, after which nothing of it is left."""

    def __init__(
        self, subject: Subject, fault: Fault, folder: Path, chance: random.Random, cancelled: threading.Event
    ) -> None:
        """Nothing runs before it is entered.

        Args:
            subject: what is tried.
            fault: says what kind of server and how many consumers.
            folder: empty; for the journals.
            chance: seeded.
            cancelled: ends every wait.
        """
        self.subject = subject
        self.fault = fault
        self.chance = chance
        self.records = Records(folder)
        self.feed = Feed(self.records, chance)
        self._crew = Crew()
        self.server = Server(*fault.server, appendfsync=fault.appendfsync, disk=fault.disk, shifted=fault.shifted)
        self.proxy: Proxy | None = None
        self.consumers: list[Member] = []
        self.over_at: float | None = None
        self.hits = 0
        """How often a consumer was interrupted: each time it may have had messages in hand."""
        self.held = False
        """Whether handlers stood still for longer than a batch may take."""
        self.stalled = 0
        """How often one could not acknowledge in time what it had in hand, and went on all the same."""
        self.resent = 0
        """How often the publisher could not know whether a batch had arrived, and sent it again."""
        self.repeated = 0
        """How many messages were sent twice on purpose."""
        self.poison = self.feed.next_id()
        """The id that kills every handler, should it be sent."""
        self.set_aside: set[str] = set()
        """Ids that belong among the dead letters."""
        self.garbage: int | None = 0
        """How many unreadable messages were sent by another client; None: any number, and more was written beside."""
        self.wrong: list[str] = []
        """Promises of which the fault itself saw that they were not kept."""
        self.once = False
        """Nobody is to handle a message twice, though it was sent twice."""
        self.killed: Counter[str] = Counter()
        """How often each of them was."""
        self._others: list[Process] = []
        self._folder = folder
        self._cancelled = cancelled
        self._forgotten: set[str] = set()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        try:
            self.server.start()
        except RuntimeError as error:
            if self.fault.disk:
                raise NotStruckError(f"no disk of its own for Redis: {str(error).splitlines()[-1]}") from None
            raise
        if self.fault.proxied:
            self.proxy = Proxy(self.server.port, self.chance.getrandbits(32))
        self.client = redis.Redis(port=self.server.port, socket_timeout=5)
        through = self.proxy.url if self.proxy is not None else ""
        for number in range(1, self.fault.consumers + 1):
            name = f"consumer{number}"
            url = through if self.fault.proxied in ("consumers", "everybody") else self.server.url
            self.consumers.append(self._crew.add(name, partial(self._start_consumer, name, url)))
        url = through if self.fault.proxied in ("sender", "everybody") else self.server.url
        self.sender = self._crew.add("publisher", partial(self._start_sender, url))
        self.until(self._listening, "no consumer listens", _START_SECONDS)

    def _start_consumer(self, name: str, url: str) -> Process:
        environment = {
            "REDIS_URL": url,
            "JOURNAL": str(self._folder),
            "LISTENER": name,
            "POISON": self.poison,
            "WORK_SECONDS": str(self.fault.work_seconds),
            "SLOW_SECONDS": str(self.fault.slow_seconds),
            **self.subject.environment,
            **self.fault.environment,
        }
        if self.fault.skewed and name == "consumer1":
            environment |= _clock(+_HOUR)
        loop = self.fault.loop and self.subject.ours
        return Process(*(_LOOP if loop else self.subject.listen), environment=environment)

    def _start_sender(self, url: str) -> Process:
        self.feed.forget_the_half()
        environment = {"REDIS_URL": url, **self.subject.environment, **self.fault.environment}
        if self.fault.skewed:
            environment |= _clock(-_HOUR)
        return Process(*self.subject.sender(self.records.receipts), environment=environment, fed=True)

    def another(self, module: str, *arguments: str) -> Process:
        """One more process beside the crew: it is not started again, and ends by itself."""
        environment = {"REDIS_URL": self.server.url, **self.subject.environment, **self.fault.environment}
        process = Process(module, *arguments, environment=environment)
        self._others.append(process)
        return process

    def _listening(self) -> bool:
        if self.subject.fan_out:
            return self._subscribed() >= len(self.consumers)
        return all(member.process.matching("connected") for member in self.consumers)

    def _subscribed(self) -> int:
        (answer,) = self.client.pubsub_numsub(self.subject.key)
        return int(answer[1])

    # --- time

    def run(self, seconds: float) -> None:
        """Let time pass."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._tick()

    def until(self, condition: Callable[[], object], otherwise: str, seconds: float) -> None:
        """Wait for it.

        Raises:
            NotStruckError: it did not come; with the words given.
        """
        if not self.came(condition, seconds):
            raise NotStruckError(f"{otherwise} within {seconds:g} s")

    def came(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait for it; whether it came."""
        ends = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > ends:
                return False
            self._tick()
        return True

    def _tick(self) -> None:
        if self._cancelled.wait(_GLANCE_SECONDS):
            raise CancelledError
        if self._crew.trouble is not None:
            raise self._crew.trouble
        self.feed.advance(self.sender.process)
        self.records.refresh()

    # --- harm

    def over(self) -> None:
        """The fault is over now, though what it does may go on; without this, it is over when its file is."""
        self.over_at = time.monotonic()

    def kill(self, member: Member, *, idle: bool = False) -> None:
        """Kill -9.

        Raises:
            NotStruckError: it was not alive.
        """
        if member.process.status is not None:
            raise NotStruckError(f"{member.name} was dead already")
        member.process.kill()
        self.killed[member.name] += 1
        if member is self.sender:
            self.resent += 1
        elif not idle:
            self.hits += 1

    @property
    def living(self) -> list[Member]:
        """The consumers that run."""
        return [member for member in self.consumers if member.process.status is None]

    def freeze(self, member: Member) -> None:
        member.process.signal(signal.SIGSTOP)
        self.stalled += 1

    def thaw(self, member: Member) -> None:
        member.process.signal(signal.SIGCONT)

    def roll(self, member: Member) -> None:
        """SIGTERM, and a new one in its place that listens."""
        listening = self._subscribed() if self.subject.fan_out else 0
        self._crew.roll(member)
        if self.subject.fan_out:
            self.until(lambda: self._subscribed() >= listening, "the new one does not listen", _START_SECONDS)
        else:
            self.until(lambda: member.process.matching("connected"), "the new one does not listen", _START_SECONDS)

    def busy(self, member: Member) -> bool:
        """Whether a handler is in the middle of a message."""
        return bool(self.records.busy_with(member.name, member.process.pid))

    def hold(self) -> None:
        """Handlers finish nothing until `release`."""
        self.held = True
        (self._folder / "hold").touch()

    def release(self) -> None:
        (self._folder / "hold").unlink(missing_ok=True)

    def calm(self) -> None:
        """From now on nothing raises but the poison."""
        (self._folder / "calm").touch()

    def crash(self, *, down: float, cut: int = 0, gently: bool = False) -> int:
        """The server ends, and comes back with what it can read on its disk; how many bytes were cut off the end."""
        self.hits += len(self.consumers)
        self.resent += 1
        if gently:
            self.server.stop()
        else:
            self.server.kill()
        lost = self.server.truncate(cut) if cut else 0
        self.run(down)
        known = self.records.acknowledged - self.records.begun_ids
        self.server.start()
        # now, as it has thrown away what it could not read: a command of which the end was cut off
        disk = self.server.disk()
        self._forgotten |= {message_id for message_id in known if message_id.encode() not in disk}
        return lost

    @property
    def forgotten(self) -> set[str]:
        """Those that were acknowledged and not begun before the server came back, and not on its disk then."""
        return set() if self.subject.fan_out else self._forgotten

    # --- the end

    def end_feed(self) -> None:
        """Nothing more is sent; the publisher ends when all is acknowledged."""
        self.feed.flow(0)
        self.came(lambda: not self.feed.waiting, _DRAIN_SECONDS)
        self.sender.expected_to_end = True
        self.sender.process.end_input()

    @property
    def members(self) -> list[Member]:
        return [*self.consumers, self.sender]

    def dismiss(self) -> None:
        """Stop the services."""
        self.release()
        self._crew.close()

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.server.remove)
            if self.proxy is not None:
                stack.callback(self.proxy.close)
            if hasattr(self, "client"):
                stack.callback(self.client.close)
            stack.callback(self.dismiss)
            for process in self._others:
                stack.callback(process.kill)


def _clock(offset: int) -> dict[str, str]:
    """The environment of a Python whose `time.time` is so many seconds off."""
    return {"PYTHONPATH": str(Path(__file__).parent / "skewed"), "CLOCK_OFFSET": str(offset)}
