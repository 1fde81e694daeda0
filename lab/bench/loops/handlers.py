"""Handlers for ``python -m subscriber``: HANDLER=lab.bench.loops.handlers:nothing."""

import asyncio
import threading
import time

from lab.bench import tally
from townpost import Message

__all__ = [
    "awaits_20_ms",
    "awaits_100_ms",
    "both",
    "nothing",
    "nothing_async",
    "nothing_in_threads",
    "slow",
    "waits_20_ms",
]

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


async def awaits_20_ms(message: Message) -> None:
    await asyncio.sleep(0.02)
    _done(message.count)


async def awaits_100_ms(message: Message) -> None:
    await asyncio.sleep(0.1)
    _done(message.count)


def waits_20_ms(message: Message) -> None:
    time.sleep(0.02)
    both(message)


async def nothing_async(message: Message) -> None:
    _done(message.count)


def both(message: Message) -> None:
    """Counts for each thread apart."""
    try:
        done = _local.done
    except AttributeError:
        done = _local.done = tally.counter()
    done(message.count)


nothing_in_threads = both
