"""What a crash at the worst moment does to an effect: the handler has had it, and Redis does not know.

At least once means that the message comes again. Whether its effect does is up to the handler; this shows it.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from townpost.errors import SettingError
from townpost.patterns import PATTERNS
from townpost.testing.choosing import Target, choose
from townpost.testing.crash_child import load
from townpost.testing.embedded import EmbeddedServer
from townpost.testing.messages import Given, as_message
from townpost.testing.server import TownpostServer

__all__ = ["Crash", "crash_between_effect_and_ack"]

T = TypeVar("T")

_LEASE_SECONDS = 0.5
"""So long after the crash the message comes again."""
_MARGIN_SECONDS = 2.0
"""So much longer than it may run a process may take to start and to say what is left."""


@dataclass(frozen=True, slots=True)
class Crash(Generic[T]):
    """What `effect()` returned, and how often the handler was called. An idempotent handler leaves both the same."""

    before: T
    """After the handler had its effect and its process was killed."""
    after: T
    """After another process had taken the message again."""
    deliveries: int
    errors: tuple[str, ...]
    """With what the handler failed after the crash."""


def crash_between_effect_and_ack(
    target: Target | str,
    given: Given,
    *,
    effect: Callable[[], T],
    queue: str | None = None,
    type: str | None = None,  # noqa: A002 - the message's field
    pattern: str = "reliable",
    group: str | None = None,
    server: TownpostServer | None = None,
    within: float = 0.0,
    timeout: float = 30.0,
) -> Crash[T]:
    """Run a handler in a process of its own, kill that before its acknowledgement is sent, and run it again in another.

    Nothing sleeps or guesses: the process holds the acknowledgement back, says that the handler has returned, and is
    killed (SIGKILL) then. The second process runs until it is idle.

    Args:
        target: a handler or an app that a fresh process can import, or its name, ``"module:attribute"``.
        given: the message, see `deliver`.
        effect: reads in this process what the handler has written, e.g. counts rows.
        queue: as for `deliver`.
        type: as for `deliver`.
        pattern: reliable or stream.
        group: of the stream, where handlers of several groups read it.
        server: `townpost_server`, if the effect is there; None starts another one for this call.
        within: seconds; retries that fall due later are not waited for.
        timeout: seconds for each process.

    Raises:
        ValueError: no other process can import the handler; or the effect is the same as before the first run, so
            that it proves nothing.
        RuntimeError: the handler failed in the first run, or a process did not come as far as it should.
    """
    if pattern not in PATTERNS or not PATTERNS[pattern].guarantees.redelivers:
        raise SettingError(f"pattern={pattern!r} acknowledges nothing: choose reliable or stream")
    name = target if isinstance(target, str) else _name(target)
    app = load(name, queue, pattern)
    with app.overridden():
        subscription = choose(app.subscriptions(), queue, pattern, group)
    with _started(server) as where:
        (message,) = where.send(subscription.name, as_message(given, type), pattern=pattern)
        task: dict[str, object] = {
            "target": name,
            "queue": queue,
            "pattern": pattern,
            "group": group,
            "id": str(message.id),
            "url": where.url,
        }
        task |= {"lease": _LEASE_SECONDS, "within": within, "timeout": timeout}
        untouched = effect()
        with _Child(task, hold=True) as child:
            settled = child.events[0] if child.read(1) else {}
            if settled.get("settled", True) is not None:
                raise RuntimeError(f"the handler did not return: {child.problem()}")
        before = effect()
        if before == untouched:
            raise ValueError(f"effect() was {untouched!r} before the handler ran and after: it reads something else")
        with _Child(task, hold=False) as child:
            child.read()
            if not child.events or "idle" not in child.events[-1]:
                raise RuntimeError(f"the message was not handled again: {child.problem()}")
        fates = [event["settled"] for event in child.events if "settled" in event]
    return Crash(before, effect(), 1 + len(fates), tuple(str(fate) for fate in fates if fate is not None))


def _name(target: Target) -> str:
    """How another process finds it: as an attribute of a module."""
    own = sys.modules.get(getattr(target, "__module__", None) or "")
    for module in (own, *list(sys.modules.values())):
        name = getattr(module, "__name__", "__main__")
        if name != "__main__":
            for attribute, value in list(vars(module).items()):
                if value is target:
                    return f"{name}:{attribute}"
    raise ValueError(f"{target!r} cannot be imported by another process: define it at the top level of a module")


@contextlib.contextmanager
def _started(server: TownpostServer | None) -> Iterator[TownpostServer]:
    if server is not None:
        yield server
        return
    embedded = EmbeddedServer()
    embedded.start()
    with contextlib.closing(embedded):
        yield TownpostServer(embedded.url)


class _Child:
    """One process; killed at the end of the block, and when its time is up."""

    def __init__(self, task: Mapping[str, object], *, hold: bool) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as text
        environment = {**os.environ, "PYTHONPATH": path, "REDIS_URL": str(task["url"])}
        read, write = os.pipe()
        self.events: list[dict[str, object]] = []
        self._timeout = float(str(task["timeout"]))
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        arguments = json.dumps({**task, "hold": hold, "report": write})
        self._process = subprocess.Popen(  # noqa: S603 - this Python
            [sys.executable, "-m", "townpost.testing.crash_child", arguments],
            stdin=subprocess.PIPE,  # ends the process with this one
            stdout=self._output,
            stderr=self._output,
            env=environment,
            pass_fds=(write,),
        )
        os.close(write)
        self._reports = os.fdopen(read, "rb")

    def read(self, most: int | None = None) -> int:
        """Wait for so many events, or for the end of the process; how many there are."""
        timer = threading.Timer(self._timeout + _MARGIN_SECONDS, self._process.kill)
        timer.start()
        for line in self._reports:
            self.events.append(json.loads(line))
            if len(self.events) == most:
                break
        timer.cancel()
        return len(self.events)

    def problem(self) -> str:
        last = self.events[-1] if self.events else {}
        if why := last.get("problem") or last.get("settled"):
            return str(why)
        self._process.kill()
        self._process.wait()
        self._output.seek(0)
        output = self._output.read().decode(errors="replace")
        return f"its process did not come so far in {self._timeout:g} s:\n{output[-2000:]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reports.close()
        self._output.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
