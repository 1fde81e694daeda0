"""The one shape all faults have. A fault is a file: it opens with what it does, how, and what to expect."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.trials.town import Town

_PACE = 200.0
_LOAD = 0.3

__all__ = ["Breaks", "Fault", "NotStruckError"]


class NotStruckError(Exception):
    """The fault could not be brought about, so that nothing was tried. The text says why."""


class Breaks(Enum):
    """What a fault takes from the parties; what a pattern may then lose or double follows from that alone."""

    CONSUMER = "a consumer dies or stands still"
    LINK = "a consumer's connection breaks, or a reply to it is lost"
    SENDER = "the publisher's connection breaks, or a reply to it is lost"
    PUBLISHER = "the publisher dies"
    WRITES = "Redis refuses to write for a while, acknowledgements too"
    MEMORY = "Redis may forget what it acknowledged"
    RESTART = "a consumer is stopped in good order and replaced"
    BUFFER = "Redis throws away what it holds for a subscriber that is too slow"
    OVERRUN = "work takes longer than expected, and what was not begun goes back, to be taken by another consumer"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row of the matrix."""

    name: str
    title: str
    strike: Callable[["Town"], None]
    """Brings it about while messages flow, and returns when it is over.

    Raises:
        NotStruckError: it did not happen.
    """
    breaks: frozenset[Breaks] = frozenset()
    consumers: int = 2
    appendfsync: str | None = "everysec"
    """None: Redis keeps nothing over a restart."""
    server: tuple[str, ...] = ()
    """More arguments of the server's."""
    disk: str = ""
    """Size of a disk of the server's own, e.g. ``4m``."""
    proxied: str = ""
    """Who talks to Redis through a proxy: ``consumers``, ``sender``, ``everybody``, or nobody."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the consumers and the publisher."""
    work_seconds: float = 0.002
    """How long a handler takes for a message."""
    slow_seconds: float = 0.0
    """How much longer it takes for a message that is slow."""
    recovery_seconds: float = 30.0
    """How long it may take, from the end of the fault, until all that was sent before is handled."""
    loop: bool = False
    """Townpost's consumers are loops over `listen`, instead of the service with a handler."""
    shifted: bool = False
    """The clock of the server can be set. Needs libfaketime."""
    skewed: bool = False
    """The first consumer's clock is an hour ahead, the publisher's an hour behind."""
    quick: bool = False
    """Part of the quick mode."""
    not_yet: str = ""
    """Why it cannot be tried, yet or here."""

    @property
    def pace(self) -> float:
        """Messages a second that any one consumer could do three times over."""
        return _PACE if not self.work_seconds else min(_PACE, _LOAD / self.work_seconds)

    @property
    def story(self) -> str:
        """What it does, how, and what to expect: the docstring of its file."""
        return inspect.cleandoc(sys.modules[self.strike.__module__].__doc__ or "")
