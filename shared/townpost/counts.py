"""Counts of one service, kept in memory by the thread that does the work.

Each pattern has a `Counts` of its own. One thread writes what happens with every batch, without a lock; readers see
whole integers. Rare events that several threads count go through `add`.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from townpost.message_sample import MessageSample

__all__ = ["Counts", "Latency"]

_ADDING = threading.Lock()


class Latency:
    """How long messages took from their timestamp to the handler, in buckets that double from 0.1 ms."""

    FIRST_MS = 0.1
    SIZE = 24  # up to 14 minutes

    def __init__(self) -> None:
        self.buckets = [0] * self.SIZE

    def add(self, seconds: float) -> None:
        """Count one; a clock ahead of ours counts as no time at all."""
        steps = int(seconds * 1000 / self.FIRST_MS)
        self.buckets[min(max(steps, 0).bit_length(), self.SIZE - 1)] += 1

    def quantile(self, share: float) -> float | None:
        """The upper edge in ms of the bucket that holds this share (0 to 1); None while empty."""
        total = sum(self.buckets)
        if not total:
            return None
        target = max(share * total, 1)
        reached = 0
        for index, count in enumerate(self.buckets):
            reached += count
            if reached >= target:
                return float(self.FIRST_MS * 2**index)
        return None  # pragma: no cover - the loop always reaches the sum


@dataclass(slots=True)
class Counts:
    """Running totals of one pattern in one process."""

    sent: int = 0
    """Acknowledged by Redis."""
    unheard: int = 0
    """Published while there was no subscriber."""
    received: int = 0
    """Readable messages taken from Redis."""
    handled: int = 0
    failed: int = 0
    """The handler raised."""
    unreadable: int = 0
    duplicates: int = 0
    """Seen before by this process, by id."""
    missed: int = 0
    """Numbers not received, on a pattern where every listener gets everything."""
    dropped: int = 0
    """Received, then not handled because the service was stopped."""
    retried: int = 0
    """Scheduled to be handled again after a failure."""
    dead: int = 0
    """Made dead letters."""
    late: int = 0
    """Claims whose lease had expired before they were settled."""
    recovered: int = 0
    """Recovered from lost consumers."""
    reconnects: int = 0
    latency: Latency = field(default_factory=Latency)
    recent: MessageSample = field(default_factory=MessageSample)

    def add(self, *, retried: int = 0, dead: int = 0, recovered: int = 0, late: int = 0) -> None:
        """Add counts that are known when a batch is settled or recovered. Any thread may call it."""
        with _ADDING:
            self.retried += retried
            self.dead += dead
            self.recovered += recovered
            self.late += late

    def in_words(self, others: Mapping[str, int], *, redelivers: bool) -> str:
        """The totals of a consumer, for the log: these others stand behind what every consumer counts."""
        numbers = {
            "received": self.received,
            "handled": self.handled,
            "failed": self.failed,
            "unreadable": self.unreadable,
            **others,
        }
        if redelivers:
            numbers |= {"retried": self.retried, "dead": self.dead, "recovered": self.recovered, "too late": self.late}
        return ", ".join(f"{value:,} {name}" for name, value in numbers.items())

    def snapshot(self) -> dict[str, object]:
        """For JSON: every number, and the latency's buckets."""
        numbers: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self) if f.type is int}
        return numbers | {"latency_ms": {"first": Latency.FIRST_MS, "buckets": list(self.latency.buckets)}}
