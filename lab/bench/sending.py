"""Tasks of one event loop, each of which sends message after message until it is killed. Standard library only."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

from lab.bench import tally

__all__ = ["send_from_tasks"]

_TIMED = 16
"""One task in so many looks at the clock, which costs half a microsecond a message."""


async def send_from_tasks(tasks: int, send: Callable[[int], Awaitable[object]]) -> None:
    """``send`` is given the number of the message."""
    acknowledged, stop = tally.many(), tally.stopwatch()

    async def timed(first: int) -> None:
        for number in itertools.count(first, tasks):
            begun = time.monotonic_ns()
            await send(number)
            stop(begun)
            acknowledged(1)

    async def untimed(first: int) -> None:
        for number in itertools.count(first, tasks):
            await send(number)
            acknowledged(1)

    await asyncio.gather(*((untimed if first % _TIMED else timed)(first) for first in range(tasks)))
