"""What an adapter is told: which variant of it runs, where Redis is, and what to do with a handled message.

All of it comes from the environment, so that worker processes that a peer forks are told the same.
"""

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Iterator
from typing import Any

from lab.bench import tally
from lab.bench.work import document

__all__ = ["batches", "done", "run", "tuned", "url", "variant", "without"]

url = os.environ["REDIS_URL"]
variant, _, _how = os.environ["BENCH_VARIANT"].partition("-")
tuned = _how == "tuned"
"""Its best setting, as far as its documentation tells; otherwise the one it recommends or starts with."""

_FIRST_SECONDS = 20.0
_stamps = os.environ.get("BENCH_MODE") == "stamp"


def _nothing(_number: int) -> None:
    pass


done = tally.counter() if os.environ["BENCH_ROLE"] == "work" else _nothing
"""To be called by the handler with the message's ``count``."""


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
    if not tuned:
        asyncio.run(work)
        return
    import uvloop  # noqa: PLC0415 - only tuned variants have it

    uvloop.run(work)


def without(*names: str) -> None:
    """Packages that a plain installation does not have."""
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]  # how an import is refused
