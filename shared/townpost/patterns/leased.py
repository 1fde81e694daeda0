"""What the patterns that redeliver share: a batch whose messages are open until answered."""

import math
import threading
import time
from collections.abc import Sequence

from townpost.patterns.contract import Batch
from townpost.verdicts import Policy

__all__ = ["LeasedBatch", "Part"]


class LeasedBatch(Batch):
    """Payloads under one lease; each is open until it is answered."""

    def __init__(self, pattern: str, name: str, payloads: Sequence[bytes], max_bytes: int) -> None:
        super().__init__(pattern, payloads, max_bytes)
        self.name = name
        self.failed: list[tuple[int, Exception]] = []
        self.closed: set[int] = set()
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
        self.answers = bytearray(len(payloads))
        """1 for each message that got one: setting it acknowledges, from any thread."""
        self._lost_event: threading.Event | None = None
        self._answering = threading.Lock()
        self.policies: dict[int, Policy] = {}
        """Of those that failed and whose handler has one of its own, by position."""
        self.gone: set[int] = set()
        """Positions that were settled before the rest, see `Part`."""
        self.parting = False
        """A part of it is being settled."""
        self.at_once = False
        """Its messages are at work at the same time, not one after the other."""
        self._seen = (0, 0, 0)
        self._seen_at = time.monotonic()

    @property
    def open(self) -> list[int]:
        """Positions without an answer."""
        gone = self.gone
        return [i for i in range(self.done, len(self.payloads)) if not self.answers[i] and i not in gone]

    @property
    def left(self) -> Sequence[bytes]:
        return [self.payloads[index] for index in self.open]

    @property
    def begun(self) -> int:
        """How many are in the handler's hands: more than one only for a handler of lists."""
        return max(0, self.position - max(self.answers.count(1), self.done))

    def part(self, returned: Sequence[int], most_failures: int) -> "Part | None":
        """What can be settled before the rest: what is answered, and what was not begun; None if there is nothing."""
        gone = self.gone
        with self._answering:
            failing = {index for index, _ in self.failed}
            failed = self.failed[:most_failures]
            answered = [index for index, answer in enumerate(self.answers) if answer]
        acked = [index for index in answered if index not in failing and index not in gone]
        if not (acked or failed or returned):
            return None
        self.parting = True
        return Part(self, acked, failed, returned)

    def parted(self, part: "Part") -> None:
        """A part is settled."""
        with self._answering:
            self.gone.update(part.acked, part.returned, (index for index, _ in part.failed))
            self.failed = [one for one in self.failed if one[0] not in self.gone]
        self.parting = False

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
        return max(self.position, len(self.closed) + 1)

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
        seen = (self.position, self.answers.count(1), self.done)
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at

    def answered(self, index: int, error: Exception | None) -> None:
        with self._answering:
            if self.answers[index]:
                return
            self.answers[index] = 1
            if index >= self.position:
                self.closed.add(index)
            if error is not None:
                self.failed.append((index, error))


class Part:
    """Some messages of a batch, settled while others of it are at work."""

    def __init__(
        self,
        batch: LeasedBatch,
        acked: Sequence[int],
        failed: Sequence[tuple[int, Exception]],
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
