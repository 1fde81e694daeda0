"""What is at work, and what each worker has done: a flight is one batch from its take to its settlement."""

import time
from collections import deque
from collections.abc import Iterator, Sequence

from townpost.message import Message
from townpost.patterns.contract import Batch

__all__ = ["Flight", "Slot", "Work"]


class Flight:
    """One batch at work."""

    __slots__ = ("answered", "batch", "begun", "complete", "iterator", "left", "over", "since")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.iterator: Iterator[Work] = iter(())
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


class Work:
    """One message, or all of a batch, in the hands of a worker."""

    __slots__ = ("flight", "indexes", "messages")

    def __init__(self, flight: Flight, indexes: tuple[int, ...], messages: tuple[Message, ...]) -> None:
        self.flight = flight
        self.indexes = indexes
        self.messages = messages


class Slot:
    """What one worker has done so far."""

    __slots__ = ("begun", "ended", "failed", "handled", "received")

    def __init__(self) -> None:
        self.begun = self.ended = 0
        """Pieces of work."""
        self.received = self.handled = self.failed = 0
        """Messages."""
