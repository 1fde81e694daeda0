"""SAQ: a job is moved to a list of active ones, and swept from there when it was stuck for too long.

Promises: at least once if a job has retries left when it is swept; settled message by message.
Tuned: uvloop, orjson, nothing kept of a finished job (``ttl=-1``), 10 at a time as by default.
Its plain functions share six threads on two cores, which no setting changes: only async ones take part in `waiting`.
"""

from typing import Any

from saq import Queue, Worker

from lab.bench.peers.role import at_once, batches, handle_async, run, tuned, url

_codec: dict[str, Any] = {}
if tuned:
    import orjson

    _codec = {"dump": orjson.dumps, "load": orjson.loads}

_queue = Queue.from_url(url, name="bench", **_codec)
_ttl = {"ttl": -1} if tuned else {}


async def handle(_context: Any, *, message: dict[str, Any]) -> None:  # noqa: ANN401 - a dictionary of its own
    await handle_async(message)


def work() -> None:
    async def forever() -> None:
        await Worker(_queue, functions=[handle], concurrency=at_once or 10).start()

    run(forever())


def publish() -> None:
    async def all_of_them() -> None:
        await _queue.connect()
        for batch in batches():
            for message in batch:
                await _queue.enqueue("handle", message=message, **_ttl)
        await _queue.disconnect()

    run(all_of_them())
