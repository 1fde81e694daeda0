"""The messages of one trial: made at a pace or in bursts, and handed to the publisher as fast as it takes them."""

import json
import random
import time
from collections import deque
from datetime import UTC, datetime
from uuid import UUID

from lab.processes import Process
from lab.trials.poison import SLOW
from lab.trials.records import Records

__all__ = ["Feed"]

_BEHIND_SECONDS = 0.1
"""How much of a stalled flow is made up for: a real producer is held up, too."""


class Feed:
    """For one thread, which calls `advance` again and again."""

    def __init__(self, records: Records, chance: random.Random) -> None:
        self._records = records
        self._chance = chance
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._left = b""
        """Of the first of them, when the pipe took only a part."""
        self._pace = 0.0
        self._credit = 0.0
        self._advanced = time.monotonic()
        self._count = 0
        self._epoch = f"{chance.getrandbits(32):08x}"

    def flow(self, per_second: float) -> None:
        """From now on so many messages a second; 0 for none."""
        self._pace = per_second
        self._credit = 0.0

    def burst(self, count: int, size: int = 0, *, priority: int | None = None, slow: bool = False) -> list[str]:
        """So many messages at once, padded by a number of bytes; their ids (slow ones begin with `SLOW`)."""
        return [self._add(self.next_id(slow=slow), size, priority) for _ in range(count)]

    def apart(self, count: int, size: int = 0) -> list[bytes]:
        """Lines of so many messages that somebody else hands over: they are attempted from now on."""
        made = [self._line(self.next_id(), size) for _ in range(count)]
        for message_id, _ in made:
            self._records.attempted[message_id] = time.monotonic()
        return [line for _, line in made]

    def again(self, *ids: str) -> None:
        """Messages with these ids: once more, or for the first time."""
        for message_id in ids:
            self._add(message_id)

    def next_id(self, *, slow: bool = False) -> str:
        made = str(UUID(int=self._chance.getrandbits(128), version=4))
        return SLOW + made[len(SLOW) :] if slow else made

    @property
    def waiting(self) -> int:
        """Messages that the publisher has not taken yet."""
        return len(self._outbox)

    def advance(self, process: Process) -> None:
        """Make what is due by now, and hand over what the publisher takes."""
        now = time.monotonic()
        if self._outbox:
            self._credit = 0.0
        self._credit += min(now - self._advanced, _BEHIND_SECONDS) * self._pace
        self._advanced = now
        for _ in range(int(self._credit)):
            self._add(self.next_id())
        self._credit %= 1.0
        if process.status is not None:
            return
        while self._outbox:
            message_id, line = self._outbox[0]
            left = self._left or line
            self._left = left[process.feed(left) :]
            if self._left == left:
                return
            self._records.attempted.setdefault(message_id, time.monotonic())
            if self._left:
                return
            self._outbox.popleft()

    def forget_the_half(self) -> None:
        """The process that took a part of a line is gone; another gets the whole of it."""
        self._left = b""

    def _add(self, message_id: str, size: int = 0, priority: int | None = None) -> str:
        self._outbox.append(self._line(message_id, size, priority))
        return message_id

    def _line(self, message_id: str, size: int, priority: int | None = None) -> tuple[str, bytes]:
        self._count += 1
        line = {
            "id": message_id,
            "timestamp": datetime.now(UTC).isoformat(),
            "message": f"#{self._count}" + "." * size,
            "sender": "lab",
            "count": self._count,
            "epoch": self._epoch,
        }
        if priority is not None:
            line["priority"] = priority
        return message_id, json.dumps(line).encode() + b"\n"
