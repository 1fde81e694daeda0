"""Makes batches of a stream's entries, and decides how many are read at once."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from townpost.patterns.leased import LeasedBatch
from townpost.patterns.stream.sender import FIELD
from townpost.redis.connection import Reply

__all__ = ["READ_BYTES", "Entries", "Found", "ReadSize", "parse"]

READ_BYTES = 16 * 1024 * 1024
"""About how many bytes a batch may have."""
_FIRST = 16
"""So many of the largest messages that a publisher sends (MAX_MESSAGE_BYTES, 1 MiB) have READ_BYTES."""
_MOST = 1_000
_FORGETTING = 0.9
_NUMBERS = itertools.count(1)
_OURS = 2
"""One field and its value."""


@dataclass(slots=True)
class Found:
    """The entries of a reply: ids and payloads, and by position the fields of entries that have more than a payload."""

    ids: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    extra: dict[int, Mapping[bytes, bytes]] = field(default_factory=dict)


def parse(reply: Reply, found: Found | None = None) -> Found:
    """Parse entries of XREADGROUP or XRANGE; the payload of an entry without our field is all its fields."""
    found = found or Found()
    ids, payloads = found.ids, found.payloads
    for entry in reply if isinstance(reply, list) else []:
        # plain indexing: a match statement takes three times as long, for each entry
        entry_id, fields = entry if isinstance(entry, list) else (None, None)
        if not isinstance(entry_id, bytes) or not isinstance(fields, list):
            continue  # the entry was deleted meanwhile
        if len(fields) == _OURS and fields[0] == FIELD and isinstance(payload := fields[1], bytes):
            ids.append(entry_id)
            payloads.append(payload)
            continue
        values = [value for value in fields if isinstance(value, bytes)]
        pairs = dict(zip(values[::2], values[1::2], strict=False))
        found.extra[len(ids)] = pairs
        ids.append(entry_id)
        payloads.append(pairs.get(FIELD, b" ".join(values)))
    return found


class Entries(LeasedBatch):
    """Entries in flight at one member, all delivered equally often."""

    def __init__(self, found: Found, by: str, attempts: int, max_bytes: int, *, again: bool = False) -> None:
        """Nothing is sent.

        Args:
            found: at least one.
            by: the member in whose name they are pending.
            attempts: how often they were delivered, this time included.
            max_bytes: of a message.
            again: they were taken over, not read, so there may be earlier deaths to forget.
        """
        # this member may get a retry of the first again before the rest is settled
        super().__init__("stream", f"{found.ids[0].decode()}#{next(_NUMBERS)}", found.payloads, max_bytes)
        self.ids = found.ids
        self.extra = found.extra
        self.by = by
        self.attempts = attempts
        self.again = again
        self.held = len(self.ids)
        """How many should be pending in the name of its member."""
        self.settling = False
        """Its settlement is in flight, so fewer entries may be pending."""
        self.told = 0
        """How many of the failures were settled in Redis."""
        self.telling = 0
        """How many more failures are in the settlement in flight."""
        self.asked = 0
        """How many answers are in the settlement that is in flight."""

    def attempt(self, index: int) -> int:  # noqa: ARG002 - all of them were delivered equally often
        return self.attempts


class ReadSize:
    """How many entries to read. Redis does not say how large they are before they are read.

    A read asks for at most twice as many as the last one returned, and for no more than READ_BYTES in entries of the
    largest recent size. So the first large entries after small ones arrive in at most that number; later reads have at
    most READ_BYTES and one message.
    """

    def __init__(self) -> None:
        """Begin as if the last read had the largest messages that a publisher sends."""
        self._ramp = _FIRST
        self._largest = 1.0

    def of(self, limit: int) -> int:
        return max(1, min(limit, self._ramp, int(READ_BYTES / self._largest)))

    def came(self, payloads: Sequence[bytes]) -> None:
        largest = max(map(len, payloads), default=0)
        self._largest = max(largest, self._largest * _FORGETTING, 1.0)
        self._ramp = min(_MOST, max(_FIRST, 2 * len(payloads)))
