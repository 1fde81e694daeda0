"""Handlers for ``python -m subscriber``: HANDLER=lab.bench.loops.handlers:job. BENCH_JOB says what they do."""

import threading

from lab.bench import tally
from lab.bench.job import jobs
from townpost import Message

__all__ = ["both", "job", "job_async", "nothing_async"]

_job, _job_async = jobs()
_local = threading.local()


def job(message: Message) -> None:
    _job(message.count)


async def job_async(message: Message) -> None:
    await _job_async(message.count)


async def nothing_async(message: Message) -> None:
    """Only counts, with no coroutine but its own."""
    _job(message.count)


def both(message: Message) -> None:
    """Counts for each thread apart."""
    try:
        done = _local.done
    except AttributeError:
        done = _local.done = tally.counter()
    done(message.count)
