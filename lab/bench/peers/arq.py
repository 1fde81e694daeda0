"""arq: jobs in a sorted set that workers poll.

Promises: at least once ("pessimistic execution"), settled message by message.
Tuned: uvloop, JSON by orjson, no results kept, polls every 10 ms instead of 500, 100 jobs at once.
"""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

from lab.bench.peers.role import at_once, batches, handle_async, run, tuned, url

_settings = RedisSettings.from_dsn(url)
_dumps: Callable[[Any], bytes] = pickle.dumps
_loads: Callable[[bytes], Any] = pickle.loads
if tuned:
    import orjson

    _dumps, _loads = orjson.dumps, orjson.loads
_codec: dict[str, Any] = {"job_serializer": _dumps, "job_deserializer": _loads}


async def handle(_context: dict[str, Any], message: dict[str, Any]) -> None:
    await handle_async(message)


def work() -> None:
    async def forever() -> None:
        better = {"poll_delay": 0.01, "max_jobs": at_once or 100, "log_results": False} if tuned else {}
        handler = func(handle, keep_result=0) if tuned else handle
        await Worker([handler], redis_settings=_settings, handle_signals=False, **better, **_codec).async_run()

    run(forever())


def publish() -> None:
    async def all_of_them() -> None:
        pool = await create_pool(_settings, **_codec)
        for batch in batches():
            if tuned:
                await asyncio.gather(*(pool.enqueue_job("handle", message) for message in batch))
                continue
            for message in batch:
                await pool.enqueue_job("handle", message)
        await pool.aclose()

    run(all_of_them())
