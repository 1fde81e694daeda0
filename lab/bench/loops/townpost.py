"""Townpost as a library: `Publisher.send` of messages made in the loop, and `listen` with a loop that only acks.

The services themselves are started as a user would start them; this is for whoever writes a loop of their own.
"""

import sys
from collections.abc import Callable
from functools import partial

from lab.bench import tally
from townpost import Message, Publisher, listen

__all__: list[str] = []

BATCH = 500


def _publish(size: int, pattern: str, count: int) -> None:
    acknowledged = tally.many()
    with Publisher(pattern) as publisher:
        for first in range(1, count + 1, size):
            messages = [
                Message.create(f"Hello from Python #{n}", sender="bench", count=n, epoch="b1f0c7")
                for n in range(first, min(first + size, count + 1))
            ]
            publisher.send(messages)
            acknowledged(len(messages))


def _publish_prepared(pattern: str, count: int) -> None:
    """Of messages made before: what is left is to serialise and to send them."""
    made = [
        Message.create(f"Hello from Python #{n}", sender="bench", count=n, epoch="b1f0c7") for n in range(1, count + 1)
    ]
    acknowledged = tally.many()
    with Publisher(pattern) as publisher:
        for first in range(0, count, BATCH):
            messages = made[first : first + BATCH]
            publisher.send(messages)
            acknowledged(len(messages))


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
    "listen": _listen,
}

if __name__ == "__main__":
    _ROLES[sys.argv[1]](sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)  # noqa: PLR2004 - the third argument is optional
