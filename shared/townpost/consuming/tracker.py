"""Finds gaps, repeated ids and latency in the messages that a consumer receives."""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from townpost.consuming.deduplicator import Deduplicator
from townpost.consuming.gaps import GapWatch
from townpost.counts import Counts
from townpost.errors import UnreadableError
from townpost.message import Message, read
from townpost.patterns.contract import Batch, Guarantees

__all__ = ["Tracker"]


class Tracker:
    """Counts and logs what it finds. One thread uses it."""

    def __init__(self, guarantees: Guarantees, counts: Counts, log: logging.Logger) -> None:
        self._counts = counts
        self._log = log
        self.watches_gaps = guarantees.fan_out and not guarantees.redelivers
        """Whether every listener gets every message, so that a missing number was not received."""
        self._watch = GapWatch()
        # where messages come again by design, a known id says nothing
        self._seen = None if guarantees.redelivers else Deduplicator()
        self.ids: list[int] = []
        """The messages of this batch whose ids may be known."""

    def chunk(self, messages: Sequence[object], *, first: bool) -> Callable[[Message], None] | None:
        """These are about to be handed out, the first of their batch or not; what to call for each, if anything."""
        if first:
            self.ids = []
            if type(message := messages[0]) is Message:
                self._counts.latency.add(time.time() - message.timestamp.timestamp())  # of one in a batch
        expected = self.watches_gaps and self._watch.expects(messages)
        if self._seen is not None:
            numbers = [message.id.int for message in messages if type(message) is Message]
            if expected:  # what has the number that was to come next needs no comparing
                self._seen.note(numbers)
            else:
                self.ids += numbers
        return self.hear if self.watches_gaps and not expected else None

    def hear(self, message: Message) -> None:
        """Log which messages of the sender were not received."""
        gap = self._watch.hear(message)
        if gap is None:
            return
        if gap.certain:
            self._counts.missed += gap.size
            self._log.warning("gap: never heard %s (%d missed)", gap, gap.size)
        else:
            self._log.warning("possible gap: %s not heard, but without an epoch nobody can tell", gap)

    def forget(self, messages: Sequence[object]) -> None:
        """Forget the last ids of a chunk, which go back: if they come again, they are no duplicates."""
        if self._seen is not None:
            del self.ids[len(self.ids) - sum(type(message) is Message for message in messages) :]

    def handled(self, batch: Batch, first: int) -> None:
        """The batch was delivered from this position on: log which of `ids` were known."""
        ids, self.ids = self.ids, []
        if self._seen is None or not (places := self._seen.again(ids)):
            return
        wanted = Counter(ids[place] for place in places)
        for payload in reversed(batch.payloads[first : batch.position]):
            with contextlib.suppress(UnreadableError):
                message = read(payload, batch.max_bytes)
                if wanted[message.id.int] > 0:
                    wanted[message.id.int] -= 1
                    self._counts.duplicates += 1
                    self._log.warning("duplicate id %s from %s: handled again", message.id, message.sender)
