"""Townpost as a library: `Publisher`, `AsyncPublisher` from many tasks, and `listen` with a loop that only acks.

The services themselves are started as a user would start them; this is for whoever writes a loop of their own.
"""

import asyncio
import sys
from collections.abc import Callable
from functools import partial

from lab.bench import tally
from lab.bench.sending import send_from_tasks
from townpost import AsyncPublisher, Message, Publisher, listen

__all__: list[str] = []

BATCH = 500
_PREPARED = 20_000


def _made(number: int) -> Message:
    return Message.create(f"Hello from Python #{number}", sender="bench", count=number, epoch="b1f0c7")


def _publish(size: int, pattern: str, count: int) -> None:
    acknowledged = tally.many()
    with Publisher(pattern) as publisher:
        for first in range(1, count + 1, size):
            messages = [_made(n) for n in range(first, min(first + size, count + 1))]
            publisher.send(messages)
            acknowledged(len(messages))


def _publish_prepared(pattern: str, count: int) -> None:
    """Of messages made before: what is left is to serialise and to send them."""
    made = [_made(n) for n in range(1, count + 1)]
    acknowledged = tally.many()
    with Publisher(pattern) as publisher:
        for first in range(0, count, BATCH):
            messages = made[first : first + BATCH]
            publisher.send(messages)
            acknowledged(len(messages))


def _tasks(prepared: bool, pattern: str, tasks: int) -> None:  # noqa: FBT001 - one of two roles
    async def sending() -> None:
        made = [_made(n) for n in range(1, _PREPARED + 1)] if prepared else []
        async with AsyncPublisher(pattern) as publisher:
            send = publisher.send
            await send_from_tasks(tasks, lambda number: send(made[number % _PREPARED] if made else _made(number + 1)))

    asyncio.run(sending())


def _listen(pattern: str, _: int) -> None:
    done = tally.counter()
    for delivery in listen(pattern):
        if delivery.message is not None:
            delivery.ack()
            done(delivery.message.count)


_ROLES: dict[str, Callable[[str, int], None]] = {
    "publish": partial(_publish, BATCH),
    "publish-prepared": _publish_prepared,
    "publish-one": partial(_publish, 1),
    "tasks": partial(_tasks, False),  # noqa: FBT003 - partial: positional
    "tasks-prepared": partial(_tasks, True),  # noqa: FBT003 - partial: positional
    "listen": _listen,
}

if __name__ == "__main__":
    _ROLES[sys.argv[1]](sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)  # noqa: PLR2004 - the third argument is optional
