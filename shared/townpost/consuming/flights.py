"""What is at work, and what each worker has done: a flight is one batch from its take to its settlement."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from townpost.message import Message
from townpost.patterns.contract import Batch
from townpost.patterns.leased import LeasedBatch

__all__ = ["Flight", "Slot", "Work"]


class Flight:
    """One batch at work."""

    __slots__ = ("answered", "batch", "begun", "complete", "iterator", "leased", "left", "over", "since")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.leased = batch if isinstance(batch, LeasedBatch) else None
        self.iterator: Iterator[Sequence[Work]] = iter(())
        """Its work, a chunk at a time."""
        self.since = time.monotonic()
        self.begun = 0
        """How many pieces of work are ready for the workers, or in their hands, or answered."""
        self.answered: deque[None] = deque()
        """One for each that is answered."""
        self.over = False
        """No more of it is begun."""
        self.left: Sequence[int] = ()
        """Positions that were not begun when it was over, and have not gone back yet."""
        self.complete = False


class Work(NamedTuple):
    """One message, or all of a batch, in the hands of a worker."""

    flight: Flight
    indexes: tuple[int, ...]
    messages: tuple[Message, ...]


class Slot:
    """What one worker has done so far."""

    __slots__ = ("begun", "ended", "failed", "handled", "received", "refilled")

    def __init__(self) -> None:
        self.begun = self.ended = 0
        """Pieces of work."""
        self.received = self.handled = self.failed = 0
        """Messages."""
        self.refilled = False
        """It has just made more ready than it has begun: others may be needed."""
