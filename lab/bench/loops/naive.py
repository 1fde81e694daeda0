"""The naive line: what a first attempt with redis-py looks like, all its defaults kept.

One BLPOP a message and json.loads; get_message for pub/sub; a publisher that makes, dumps and sends one at a time.
Promises what redis-py does: at most once, and a lost reply loses a message.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import redis
import redis.asyncio

from lab.bench import tally
from lab.bench.sending import send_from_tasks

__all__: list[str] = []


def _queue(client: redis.Redis, _: int) -> None:
    done = tally.counter()
    while True:
        # without a timeout, redis-py 8 raises when nothing came for as long as its socket_timeout
        reply = client.blpop(["message_queue"], timeout=1)
        if reply is not None:
            done(json.loads(reply[1])["count"])


def _pubsub(client: redis.Redis, _: int) -> None:
    done = tally.counter()
    pubsub = client.pubsub()
    pubsub.subscribe("messages")
    while True:
        message = pubsub.get_message(timeout=1.0)
        if message is not None and message["type"] == "message":
            done(json.loads(message["data"])["count"])


def _made(number: int) -> str:
    return json.dumps(
        {
            "id": str(uuid4()),
            "timestamp": datetime.now(UTC).isoformat(),
            "message": f"Hello from Python #{number}",
            "sender": "bench",
            "count": number,
            "epoch": "b1f0c7",
        }
    )


def _publish(client: redis.Redis, count: int) -> None:
    acknowledged = tally.many()
    for number in range(1, count + 1):
        client.rpush("message_queue", _made(number))
        acknowledged(1)


def _publish_both(client: redis.Redis, count: int) -> None:
    acknowledged = tally.many()
    for number in range(1, count + 1):
        made = _made(number)
        client.publish("messages", made)
        client.rpush("message_queue", made)
        acknowledged(1)


def _publish_prepared(client: redis.Redis, count: int) -> None:
    """The bare RPUSH loop: nothing is made, nothing is dumped."""
    made = [_made(number).encode() for number in range(1, count + 1)]
    acknowledged = tally.many()
    for message in made:
        client.rpush("message_queue", message)
        acknowledged(1)


def _publish_tasks(_: redis.Redis, tasks: int) -> None:
    """The bare RPUSH of redis.asyncio, a connection for each task."""
    made = [_made(number).encode() for number in range(1, 20_001)]

    async def sending() -> None:
        async with redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], max_connections=tasks) as client:
            await send_from_tasks(tasks, lambda number: client.rpush("message_queue", made[number % len(made)]))

    asyncio.run(sending())


_ROLES: dict[str, Callable[[redis.Redis, int], None]] = {
    "queue": _queue,
    "pubsub": _pubsub,
    "publish": _publish,
    "publish-both": _publish_both,
    "publish-prepared": _publish_prepared,
    "publish-tasks": _publish_tasks,
}

if __name__ == "__main__":
    _ROLES[sys.argv[1]](redis.Redis.from_url(os.environ["REDIS_URL"]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)  # noqa: PLR2004 - the third argument is optional
