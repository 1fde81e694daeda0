"""FastStream on lists, channels and streams.

Promises: list and channel at most once. A stream acknowledges after the handler, message by message or with
``batch`` a batch at a time (XACK): at least once, if somebody claims what the dead left (``min_idle_time``).
Tuned: uvloop, orjson (it takes it when it is there), batches of 500; one pipeline for many XADD or PUBLISH.
"""

import asyncio
from typing import Any

from lab.bench.peers.role import batches, done, run, tuned, url, variant, without

if not tuned:
    without("orjson")

from faststream.redis import ListSub, RedisBroker, StreamSub

_BATCH = 500 if tuned else 10
_broker = RedisBroker(url, logger=None)


async def _each(message: dict[str, Any]) -> None:
    done(message["count"])


async def _many(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        done(message["count"])


def _subscribe() -> None:
    stream = {"stream": "fs", "group": "bench", "consumer": "one"}
    match variant:
        case "list":
            _broker.subscriber(list="fs")(_each)
        case "listbatch":
            _broker.subscriber(list=ListSub("fs", batch=True, max_records=_BATCH))(_many)
        case "channel":
            _broker.subscriber("messages")(_each)
        case "stream":
            _broker.subscriber(stream=StreamSub(**stream, max_records=_BATCH))(_each)
        case "streambatch":
            _broker.subscriber(stream=StreamSub(**stream, batch=True, max_records=_BATCH))(_many)


def work() -> None:
    async def forever() -> None:
        _subscribe()
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
