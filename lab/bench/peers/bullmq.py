"""BullMQ's Python port: a job is a hash, moved between lists by scripts.

Promises: at least once (a job whose lock ran out is stalled and goes back), settled message by message.
Tuned: uvloop, 50 jobs at once, finished ones removed, many jobs added at once.
"""

import asyncio
from typing import Any

from bullmq import Queue, Worker

from lab.bench.peers.role import at_once, batches, handle_async, run, tuned, url

_connection = {"connection": url}


async def handle(job: Any, _token: str) -> None:  # noqa: ANN401 - its Job
    await handle_async(job.data)


def work() -> None:
    async def forever() -> None:
        Worker("bench", handle, {**_connection, **({"concurrency": at_once or 50} if tuned else {})})
        await asyncio.Event().wait()

    run(forever())


def publish() -> None:
    async def all_of_them() -> None:
        queue = Queue("bench", _connection)
        options = {"removeOnComplete": True} if tuned else {}
        for batch in batches():
            if tuned and len(batch) > 1:
                await queue.addBulk([{"name": "handle", "data": message, "opts": options} for message in batch])
                continue
            for message in batch:
                await queue.add("handle", message, options)
        await queue.close()

    run(all_of_them())
