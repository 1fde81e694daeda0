"""What Redis says of one place: how much waits, since when, in whose hands; the commands, and what they answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from townpost import Command, Reply, UnreadableError, keys, read_message

from . import scripts
from .paths import Path
from .replies import bytes_of, fields, number, pairs
from .reports import number_of

__all__ = ["RETRIES", "Depth", "Oldest", "Part", "holders_of", "part"]

_CLAIMS = 12
"""So many claims are counted; of more, an estimate."""
_MOST_CLAIMS = 2_000
_GROUPS = 16
_HEAD_BYTES = 2048
RETRIES = "waiting"
"""The consumer that stands for retries of the stream."""


@dataclass(slots=True)
class Depth:
    """One path now."""

    depth: int | None = None
    oldest: float | None = None
    """When the oldest waiting message was created."""
    in_flight: int | None = None
    scheduled: int | None = None
    dead: int | None = None
    stored: int | None = None
    listeners: int | None = None
    estimated: bool = False
    """Whether there were too many claims to count."""
    group: bool = True
    """Whether the consumer group exists (stream)."""


Oldest: TypeAlias = dict[Path, tuple[bytes, float]]
"""Of a group: its last-delivered id, and when the entry that follows it was created. Kept from look to look: to read an
entry only for its id would have the server copy all of it, every second."""


class Part:
    """The commands for one place, in two rounds."""

    commands: list[Command]

    def __init__(self, place: Path) -> None:
        self.place = place
        self.depths: dict[Path, Depth] = {}
        self.more: list[Command] = []
        """Known only from the first replies."""

    def take(self, replies: Sequence[Reply]) -> None:
        raise NotImplementedError

    def take_more(self, replies: Sequence[Reply]) -> None:
        """None of them by default."""


class _Pubsub(Part):
    def __init__(self, place: Path, _group: str, _oldest: Oldest) -> None:
        super().__init__(place)
        glob = any(c in place.name for c in "*?[")
        self.commands = [("PUBSUB", "NUMPAT") if glob else ("PUBSUB", "NUMSUB", place.name)]

    def take(self, replies: Sequence[Reply]) -> None:
        depth = self.depths[self.place] = Depth()
        match replies[0]:
            case [_, int(listeners)] | int(listeners):
                depth.listeners = listeners


class _Queue(Part):
    def __init__(self, place: Path, _group: str, _oldest: Oldest) -> None:
        super().__init__(place)
        self.commands = [scripts.heads([place.name], _HEAD_BYTES)]

    def take(self, replies: Sequence[Reply]) -> None:
        length, oldest = _head(replies[0])
        self.depths[self.place] = Depth(depth=length, oldest=oldest)


class _Reliable(Part):
    def __init__(self, place: Path, _group: str, _oldest: Oldest) -> None:
        super().__init__(place)
        q = place.name
        self.commands = [
            scripts.heads([q], _HEAD_BYTES),
            ("LLEN", keys.of(q).handoff),
            ("ZCARD", keys.of(q).priority),
            ("LLEN", keys.of(q).suspects),
            ("ZCARD", keys.of(q).scheduled),
            ("XLEN", keys.of(q).dead),
            scripts.claims(q, _MOST_CLAIMS),
        ]
        self._claims = 0

    def take(self, replies: Sequence[Reply]) -> None:
        length, oldest = _head(replies[0])
        waiting = sum(number(reply) or 0 for reply in replies[1:4])
        depth = self.depths[self.place] = Depth(
            depth=None if length is None else length + waiting,
            oldest=oldest,
            scheduled=number(replies[4]),
            dead=number(replies[5]),
        )
        match replies[6]:
            case [int(there), *flat]:
                # what else stands there (the handoff has a lease as well) holds nothing that is in flight
                self._claims = there
                self.more = [("LLEN", claim) for claim in bytes_of(flat)[::2][:_CLAIMS]]
                depth.in_flight = 0

    def take_more(self, replies: Sequence[Reply]) -> None:
        lengths = [length for reply in replies if (length := number(reply)) is not None]
        if lengths:
            depth = self.depths[self.place]
            depth.estimated = self._claims > len(lengths)
            depth.in_flight = round(sum(lengths) * max(1.0, self._claims / len(lengths)))


class _Stream(Part):
    def __init__(self, place: Path, group: str, oldest: Oldest) -> None:
        super().__init__(place)
        self._stream, self._own, self._oldest = place.name, group, oldest
        self._after: dict[Path, bytes] = {}
        """Whose next entry is asked for."""
        self.commands = [
            ("XLEN", self._stream),
            ("XINFO", "GROUPS", self._stream),
            ("XLEN", keys.of(self._stream).dead),
        ]

    def take(self, replies: Sequence[Reply]) -> None:
        length, dead = number(replies[0]), number(replies[2])
        found = replies[1] if isinstance(replies[1], list) else []
        for group in map(fields, found[:_GROUPS]):
            name, last = group.get("name"), group.get("last-delivered-id")
            if (text := _utf8(name)) and isinstance(last, bytes):
                self._asks(text, b"(" + last, Depth(depth=number(group.get("lag")), dead=dead, stored=length))
        if not self.depths:
            self._asks(self._own, b"-", Depth(depth=length, dead=dead, stored=length, group=False))
        self.more += [scripts.entries(self._stream, after, 1, 0) for after in self._after.values()]

    def _asks(self, group: str, after: bytes, depth: Depth) -> None:
        depth.in_flight = depth.scheduled = 0
        path = self.place._replace(group=group)
        self.depths[path] = depth
        self.more.append(("XPENDING", self._stream, group))
        known = self._oldest.get(path)
        if known is not None and known[0] == after:
            depth.oldest = known[1]
        elif depth.stored:
            self._after[path] = after

    def take_more(self, replies: Sequence[Reply]) -> None:
        for depth, pending in zip(self.depths.values(), replies, strict=False):
            match pending:
                case [int(held), _, _, holders]:
                    retries = sum(count for name, count in holders_of(holders) if name == RETRIES)
                    depth.scheduled, depth.in_flight = retries, max(0, held - retries)
        for (path, after), first in zip(self._after.items(), replies[len(self.depths) :], strict=False):
            match first:
                case [[bytes(entry_id), *_], *_]:
                    oldest = number_of(entry_id.split(b"-")[0].decode()) / 1000
                    self.depths[path].oldest = oldest
                    self._oldest[path] = (after, oldest)


def holders_of(reply: Reply) -> list[tuple[str, int]]:
    """Of the summary of XPENDING: who has how many."""
    return [
        (name.decode(errors="replace"), number_of(count.decode(errors="replace")))
        for holder in (reply if isinstance(reply, list) else [])
        for name, count in pairs(holder)
    ]


def _utf8(name: Reply) -> str:
    try:
        return name.decode() if isinstance(name, bytes) else ""
    except UnicodeDecodeError:
        return ""


def _head(reply: Reply) -> tuple[int | None, float | None]:
    """How many, and when the first of them was created."""
    match reply:
        case [[length, payload, size]]:
            whole = isinstance(payload, bytes) and size == len(payload)
            return number(length), _created(payload) if whole and isinstance(payload, bytes) else None
    return None, None


def _created(payload: bytes) -> float | None:
    try:
        return read_message(payload).timestamp.timestamp()
    except (UnreadableError, OverflowError, ValueError):
        return None


_PARTS: dict[str, Callable[[Path, str, Oldest], Part]] = {
    "pubsub": _Pubsub,
    "queue": _Queue,
    "reliable": _Reliable,
    "stream": _Stream,
}


def part(place: Path, group: str, oldest: Oldest) -> Part:
    """Of one place; the group stands for it where a stream has none."""
    return _PARTS[place.pattern](place, group, oldest)
