"""What the patterns that redeliver share: a batch whose messages are open until answered."""

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
"""What became of one message of a batch; settled: it has left the batch, see `Part`."""


class Failure(NamedTuple):
    """Why a message failed."""

    error: Exception
    policy: Policy | None
    """Of its handler, if that has one of its own."""


class LeasedBatch(Batch):
    """Payloads under one lease; each is open until it is answered."""

    def __init__(self, pattern: str, name: str, payloads: Sequence[bytes], max_bytes: int) -> None:
        super().__init__(pattern, payloads, max_bytes)
        self.name = name
        self.status = bytearray(len(payloads))
        """Of each message. To set ACKED for one that is open acknowledges it, from any thread."""
        self.failures: dict[int, Failure] = {}
        """By position, in the order in which they failed."""
        self.skipped: set[int] = set()
        self.lost = False
        """Its lease is another consumer's: nothing more of it may be begun."""
        self.leased_until = math.inf
        """By the monotonic clock, as of the last renewal: after a longer pause others may have it."""
        self.overrun_at = math.inf
        """By the monotonic clock: then what is not begun goes back to where others can take it."""
        self.split = False
        """It went back, from the position where `until` stopped it."""
        self.sent = 0
        """How often its settlement was sent, whether or not a reply came."""
        self.full = False
        """Redis had no room for its settlement."""
        self._lost_event: threading.Event | None = None
        self._answering = threading.Lock()
        self.parting = False
        """A part of it is being settled."""
        self.parted = False
        """One has been."""
        self.at_once = False
        """Its messages are at work at the same time, not one after the other."""
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
        """How many are in the handler's hands: more than one only for a handler of lists."""
        return max(0, self.position - max(len(self.status) - self.status.count(OPEN), self.acked))

    def part(self, returned: Sequence[int], most_failures: int) -> "Part | None":
        """What can be settled before the rest: what is answered, and what was not begun; None if there is nothing."""
        with self._answering:
            failed = list(islice(self.failures.items(), most_failures))
            acked = [index for index, one in enumerate(self.status) if one == ACKED and index not in self.failures]
        if not (acked or failed or returned):
            return None
        self.parting = True
        return Part(self, acked, failed, returned)

    def part_settled(self, part: "Part") -> None:
        """It has left the batch."""
        with self._answering:
            for index, _ in part.failed:
                del self.failures[index]
            for index in (*part.acked, *part.returned, *(index for index, _ in part.failed)):
                self.status[index] = SETTLED
        self.parted, self.parting = True, False

    def take_up(self, overrun_seconds: float | None, leased_until: float) -> None:
        """It is handed out now: with so much time to begin its messages, under a lease that runs until then."""
        self.leased_until = leased_until
        if overrun_seconds is not None:
            self.overrun_at = time.monotonic() + overrun_seconds
        self.until = min(self.overrun_at, leased_until)

    def lose(self) -> None:
        """From the thread that renews: nothing more is begun, at once."""
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
        """From the thread that renews: nothing is begun from the position on that is returned.

        The handler's thread announces a position before it asks `until`, and this sets `until` before it reads the
        position: so one of the two sees the other. The first message may always be begun, see `may_begin`.
        """
        self.until = -math.inf
        return max(self.position, len(self.skipped) + 1)

    def may_begin(self, index: int) -> bool:
        now = time.monotonic()
        if self.lost or now > self.leased_until:
            return False
        if self.until > -math.inf and now <= self.overrun_at:  # only the lease was in question, and it was renewed
            self.until = min(self.overrun_at, self.leased_until)
            return True
        return super().may_begin(index)

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
    """Some messages of a batch, settled while others of it are at work."""

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
        """How often it was sent, as for a batch."""
        self.full = False
        """Redis had no room for it."""
