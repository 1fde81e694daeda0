"""ardiq: the worker's loop in Rust, tasks in Python, on Redis streams.

Promises: at least once (what a dead worker left is claimed), settled message by message.
Tuned: uvloop, orjson, 100 at a time, results kept for no longer than a millisecond.
"""

from typing import Any

from ardiq import Ardiq

from lab.bench.peers.role import at_once, batches, handler, run, tuned, url

_better: dict[str, Any] = {}
if tuned:
    import orjson

    _better = {
        "serializer": orjson.dumps,
        "deserializer": orjson.loads,
        "concurrency": at_once or 100,
        "result_ttl_ms": 1,
    }

_app = Ardiq(redis_url=url, queue_name="bench", **_better)


handle = _app.task(name="handle")(handler)


def work() -> None:
    run(_app.run())


def publish() -> None:
    async def all_of_them() -> None:
        for batch in batches():
            if len(batch) == 1:
                await handle.enqueue(batch[0])
            else:
                await _app.enqueue_many([handle.prepare(message) for message in batch])

    run(all_of_them())
