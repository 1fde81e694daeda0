"""What an adapter is told: which variant of it runs, where Redis is, and what to do with a handled message.

All of it comes from the environment, so that worker processes that a peer forks are told the same.
"""

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab.bench import tally
from lab.bench.job import jobs
from lab.bench.work import document

__all__ = [
    "at_once",
    "batches",
    "handle",
    "handle_async",
    "handler",
    "job_async",
    "run",
    "tuned",
    "url",
    "variant",
    "without",
]

url = os.environ["REDIS_URL"]
variant, _, _how = os.environ["BENCH_VARIANT"].partition("-")
tuned = _how == "tuned"
"""Its best setting, as far as its documentation tells; otherwise the one it recommends or starts with."""

at_once = int(os.environ.get("BENCH_AT_ONCE", "0"))
"""How many handlers are to be at work at a time; 0 for as many as its setting says."""

_FIRST_SECONDS = 20.0
_stamps = os.environ.get("BENCH_MODE") == "stamp"


def _nothing(_number: int) -> None:
    pass


async def _nothing_async(_number: int) -> None:
    pass


job, job_async = jobs() if os.environ["BENCH_ROLE"] == "work" else (_nothing, _nothing_async)
"""One of them is to be called by the handler with the message's ``count``."""


def handle(message: dict[str, Any]) -> None:
    job(message["count"])


async def handle_async(message: dict[str, Any]) -> None:
    await job_async(message["count"])


handler = handle if os.environ.get("BENCH_KIND") == "threads" else handle_async
"""For peers that take both."""


def batches() -> Iterator[list[dict[str, Any]]]:
    """Documents made beforehand; asking for the next batch says that the last one was acknowledged."""
    count, size, rate = (int(word) for word in os.environ["BENCH_EXTENT"].split())
    documents = [document(number) for number in range(1, count + 1)]
    acknowledged = _nothing if _stamps else tally.many()
    sent = tally.stamp_sent()
    due = time.monotonic()
    for first in range(0, count, size):
        if rate:
            due += size / rate
            time.sleep(max(0.0, due - time.monotonic()))
        batch = documents[first : first + size]
        if _stamps:
            sent(first + 1)
        yield batch
        acknowledged(len(batch))
        if _stamps and first == 0:
            _await_first()
            due = time.monotonic()


def _await_first() -> None:
    """Until the consumer, which may still be starting, has handled the first message."""
    deadline = time.monotonic() + _FIRST_SECONDS
    while not tally.handled() and time.monotonic() < deadline:
        time.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    """asyncio.run, on uvloop where that belongs to the setting."""

    async def working() -> None:
        if at_once:  # some run plain handlers there
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(at_once))
        await work

    if not tuned:
        asyncio.run(working())
        return
    import uvloop  # noqa: PLC0415 - only tuned variants have it

    uvloop.run(working())


def without(*names: str) -> None:
    """Packages that a plain installation does not have."""
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]  # how an import is refused
