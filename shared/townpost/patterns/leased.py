"""The batch of the patterns that redeliver: each message is open until it is answered."""

import math
import threading
import time
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from townpost.patterns.contract import Batch
from townpost.verdicts import Policy

__all__ = ["ACKED", "OPEN", "SETTLED", "Failure", "LeasedBatch", "Part"]

OPEN, ACKED, FAILED, SETTLED = range(4)
"""The status of one message of a batch; SETTLED: it was settled with a `Part`, before the rest."""


class Failure(NamedTuple):
    """Why a message failed."""

    error: Exception
    policy: Policy | None
    """The policy of its handler, if the handler has its own."""


class LeasedBatch(Batch):
    """Payloads under one lease."""

    def __init__(self, pattern: str, name: str, payloads: Sequence[bytes], max_bytes: int) -> None:
        super().__init__(pattern, payloads, max_bytes)
        self.name = name
        self.status = bytearray(len(payloads))
        """The status of each message. Any thread acknowledges an open message by setting ACKED."""
        self.failures: dict[int, Failure] = {}
        """By position, in the order in which they failed."""
        self.skipped: set[int] = set()
        self.lost = False
        """The lease was lost to another consumer: no further message may be begun."""
        self.leased_until = math.inf
        """The end of the lease at its last renewal, by the monotonic clock; later, others may have the batch."""
        self.overrun_at = math.inf
        """When the unstarted messages go back, so that others can take them; by the monotonic clock."""
        self.split = False
        """The unstarted messages went back, from the position where `until` stopped the handler."""
        self.sent = 0
        """How often its settlement was sent, with or without a reply."""
        self.full = False
        """Redis had no room for its settlement."""
        self._lost_event: threading.Event | None = None
        self._answering = threading.Lock()
        self.parting = False
        """The settlement of a part is in flight."""
        self.parted = False
        """A part was settled."""
        self.at_once = False
        """Its messages are handled at the same time, not one after the other."""
        self._seen = (0, 0, 0)
        self._seen_at = time.monotonic()

    @property
    def open(self) -> list[int]:
        """Positions without an answer."""
        return [index for index in range(self.acked, len(self.payloads)) if self.status[index] == OPEN]

    @property
    def settled(self) -> list[int]:
        """Positions that were settled before the rest."""
        return [index for index, status in enumerate(self.status) if status == SETTLED] if self.parted else []

    @property
    def unstarted(self) -> Sequence[bytes]:
        return [self.payloads[index] for index in self.open]

    @property
    def begun(self) -> int:
        """How many messages the handler has: more than one only for a handler of lists."""
        return max(0, self.position - max(len(self.status) - self.status.count(OPEN), self.acked))

    def part(self, returned: Sequence[int], most_failures: int) -> "Part | None":
        """The messages to settle before the rest: the answered ones and ``returned``; None if there are none."""
        with self._answering:
            failed = list(islice(self.failures.items(), most_failures))
            acked = [index for index, one in enumerate(self.status) if one == ACKED and index not in self.failures]
            returned = [index for index in returned if self.status[index] == OPEN]
        if not (acked or failed or returned):
            return None
        self.parting = True
        return Part(self, acked, failed, returned)

    def part_settled(self, part: "Part") -> None:
        """Mark the messages of this part as settled."""
        with self._answering:
            for index, _ in part.failed:
                del self.failures[index]
            for index in (*part.acked, *part.returned, *(index for index, _ in part.failed)):
                self.status[index] = SETTLED
        self.parted, self.parting = True, False

    def take_up(self, overrun_seconds: float | None, leased_until: float) -> None:
        """Start the time in which its messages may be begun, under a lease that ends at ``leased_until``."""
        self.leased_until = leased_until
        if overrun_seconds is not None:
            self.overrun_at = time.monotonic() + overrun_seconds
        self.until = min(self.overrun_at, leased_until)

    def lose(self) -> None:
        """Called by the renewer's thread: no further message may be begun."""
        self.lost = True
        self.until = -math.inf
        if self._lost_event is not None:
            self._lost_event.set()

    def lost_event(self) -> threading.Event:
        if self._lost_event is None:
            self._lost_event = threading.Event()
        if self.lost:
            self._lost_event.set()
        return self._lost_event

    def stop_beginning(self) -> int:
        """Called by the renewer's thread: no message is begun from the returned position on.

        The handler's thread announces a position before it asks `until`, and this sets `until` before it reads the
        position: so one of the two sees the other. The first message may always be begun, see `may_begin`.
        """
        self.until = -math.inf
        return max(self.position, len(self.skipped) + 1)

    def may_begin(self, index: int) -> bool:
        now = time.monotonic()
        renewed = self.until > -math.inf and now <= self.overrun_at
        if renewed:  # `until` was the end of the lease
            self.until = min(self.overrun_at, self.leased_until)
        if self.lost:  # checked last: the thread that renews may have set it, and `until`, just now
            self.until = -math.inf
            return False
        return now <= self.leased_until and (renewed or super().may_begin(index))

    def idle(self, now: float) -> float:
        """Seconds since a message was begun or answered. Sampled when read."""
        seen = (self.position, self.status.count(OPEN), self.acked)
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at

    def answered(self, index: int, error: Exception | None, policy: Policy | None = None) -> None:
        with self._answering:
            if self.status[index] != OPEN:
                return
            self.status[index] = ACKED if error is None else FAILED
            if index >= self.position:
                self.skipped.add(index)
            if error is not None:
                self.failures[index] = Failure(error, policy)


class Part:
    """Some messages of a batch, settled while others are still being handled."""

    def __init__(
        self,
        batch: LeasedBatch,
        acked: Sequence[int],
        failed: Sequence[tuple[int, Failure]],
        returned: Sequence[int],
    ) -> None:
        """By positions in the batch; see `LeasedBatch.part`."""
        self.batch = batch
        self.acked = acked
        self.failed = failed
        self.returned = returned
        self.sent = 0
        """How often its settlement was sent."""
        self.full = False
        """Redis had no room for its settlement."""
