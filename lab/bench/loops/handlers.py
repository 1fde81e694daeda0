"""Handlers for ``python -m subscriber``: HANDLER=lab.bench.loops.handlers:nothing."""

import threading
import time

from lab.bench import tally
from townpost.message import Message

__all__ = ["both", "nothing", "slow"]

_done = tally.counter()
_local = threading.local()
_SLOW_SECONDS = 0.002


def nothing(message: Message) -> None:
    """Only counts."""
    _done(message.count)


def slow(message: Message) -> None:
    """Waits for something else than Redis."""
    time.sleep(_SLOW_SECONDS)
    _done(message.count)


def both(message: Message) -> None:
    """Counts for each thread apart."""
    try:
        done = _local.done
    except AttributeError:
        done = _local.done = tally.counter()
    done(message.count)
