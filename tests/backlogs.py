"""A backlog without a server, and batches for it."""

import threading
from collections.abc import Callable, Sequence

from messages import wire

from townpost.consuming.backlog import Backlog
from townpost.counts import Counts
from townpost.message import MAX_MESSAGE_BYTES, Message
from townpost.patterns.contract import Batch
from townpost.patterns.leased import LeasedBatch

__all__ = ["backlog", "claim"]


def _all(
    _batch: Batch, indexes: Sequence[int], messages: Sequence[Message], _failed: Callable[[int, Exception], object]
) -> tuple[tuple[int, ...], tuple[Message, ...]]:
    return tuple(indexes), tuple(messages)


def backlog() -> Backlog:
    return Backlog(
        Counts(),
        threading.Event(),
        concurrency=20,
        whole=False,
        sift=_all,
        ahead=True,
        unreadable=lambda *_: None,
        hear=None,
        settles=True,
    )


def claim(count: int) -> LeasedBatch:
    return LeasedBatch("reliable", "claim", [wire(str(n)) for n in range(count)], MAX_MESSAGE_BYTES)
