"""streaQ on Redis streams.

Promises: at least once (what a dead worker left is claimed), settled message by message.
Tuned: uvloop, orjson, 64 at a time, nothing kept of a finished task (``ttl=0``).
"""

import logging
from typing import Any

from streaq import Worker

from lab.bench.peers.role import at_once, batches, handler, run, tuned, url

_better: dict[str, Any] = {}
if tuned:
    import orjson

    _better = {
        "serializer": lambda data: orjson.dumps(data).decode(),
        "deserializer": orjson.loads,
        "concurrency": at_once or 64,
    }

_worker: Any = Worker(redis_url=url, handle_signals=False, **_better)
logging.disable(logging.INFO)


handle = _worker.task(name="handle", **({"ttl": 0} if tuned else {}))(handler)


def work() -> None:
    run(_worker.run_async())


def publish() -> None:
    async def all_of_them() -> None:
        async with _worker:
            for batch in batches():
                if len(batch) == 1:
                    await handle.enqueue(batch[0])
                else:
                    await _worker.enqueue_many([handle.enqueue(message) for message in batch])

    run(all_of_them())
