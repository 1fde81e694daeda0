"""What a handler does: BENCH_JOB is ``nothing``, ``wait SECONDS`` or ``compute``. Standard library only."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from lab.bench import tally

__all__ = ["jobs"]

_TURNS = 250_000
"""Of the loop that computes: some milliseconds."""


def jobs() -> tuple[Callable[[int], None], Callable[[int], Awaitable[None]]]:
    """For plain and for async handlers, to be called with the number of the message."""
    done, flying = tally.counter(), tally.in_flight()
    job, _, words = os.environ.get("BENCH_JOB", "nothing").partition(" ")
    seconds = float(words or 0)

    def wait(number: int) -> None:
        flying(1)
        time.sleep(seconds)
        flying(-1)
        done(number)

    def compute(number: int) -> None:
        for _ in range(_TURNS):
            pass
        done(number)

    async def awaiting(number: int) -> None:
        flying(1)
        await asyncio.sleep(seconds)
        flying(-1)
        done(number)

    plain = {"nothing": done, "wait": wait, "compute": compute}[job]

    async def at_once(number: int) -> None:
        plain(number)

    return plain, awaiting if job == "wait" else at_once
