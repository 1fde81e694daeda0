"""FastStream on lists, channels and streams.

Promises: list and channel at most once. A stream acknowledges after the handler, message by message or with
``batch`` a batch at a time (XACK): at least once, if somebody claims what the dead left (``min_idle_time``).
Tuned: uvloop, orjson (it takes it when it is there), batches of 500; one pipeline for many XADD or PUBLISH.
"""

import asyncio
import os
from typing import Any

from lab.bench.peers.role import at_once, batches, handle, handler, run, tuned, url, variant, without

if not tuned:
    without("orjson")

from anyio.to_thread import current_default_thread_limiter
from faststream.redis import ListSub, RedisBroker, StreamSub

from lab.bench.sending import send_from_tasks
from lab.bench.work import document

_BATCH = 500 if tuned else 10
_MOST_CONNECTIONS = 1_100
"""Its default, 100, raises where more tasks send or acknowledge at a time."""
_workers: dict[str, Any] = {"max_workers": at_once} if at_once else {}
_broker = RedisBroker(url, logger=None, max_connections=_MOST_CONNECTIONS)


async def _many(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        handle(message)


def _subscribe() -> None:
    stream = {"stream": "fs", "group": "bench", "consumer": "one"}
    match variant:
        case "list":
            _broker.subscriber(list="fs", **_workers)(handler)
        case "listbatch":
            _broker.subscriber(list=ListSub("fs", batch=True, max_records=_BATCH))(_many)
        case "channel":
            _broker.subscriber("messages")(handler)
        case "stream":
            _broker.subscriber(stream=StreamSub(**stream, max_records=_BATCH), **_workers)(handler)
        case "streambatch":
            _broker.subscriber(stream=StreamSub(**stream, batch=True, max_records=_BATCH))(_many)


def work() -> None:
    async def forever() -> None:
        _subscribe()
        if at_once:
            current_default_thread_limiter().total_tokens = at_once
        await _broker.start()
        await asyncio.Event().wait()

    run(forever())


def publish() -> None:
    async def all_of_them() -> None:
        async with _broker:
            client = await _broker.connect()
            if variant.startswith("stream") and not await client.exists("fs"):
                # it would make the group at the end of the stream, and see nothing of what waits
                await client.xgroup_create("fs", "bench", id="0", mkstream=True)
            where = {"channel": "messages"} if variant == "channel" else {"stream": "fs"}
            for batch in batches():
                if variant.startswith("list"):
                    if len(batch) == 1:
                        await _broker.publish(batch[0], list="fs")
                    else:
                        await _broker.publish_batch(*batch, list="fs")
                    continue
                async with client.pipeline(transaction=False) as pipe:
                    for message in batch:
                        await _broker.publish(message, **where, pipeline=pipe if tuned else None)
                    if tuned:
                        await pipe.execute()

    run(all_of_them())


def publish_from_tasks() -> None:
    async def sending() -> None:
        made = [document(number) for number in range(1, 20_001)]
        async with _broker:
            await send_from_tasks(
                int(os.environ["BENCH_EXTENT"]), lambda number: _broker.publish(made[number % len(made)], list="fs")
            )

    run(sending())
