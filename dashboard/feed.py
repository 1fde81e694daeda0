"""The feed: the last five hundred messages that services kept as samples (`MessageSample`), each once."""

import itertools
from collections import deque
from typing import Literal, TypeAlias

from pydantic_core import from_json

from townpost import UnreadableError, read_message

from .instances import Instance, Instances
from .paths import Path
from .schemas.live import Seen, SeenWhole

__all__ = ["Feed", "parsed"]

_KEPT = 500
_PER_TURN = 50
_TEXT = 200
_SAMPLE_BYTES = 2048
_MOST = 2**63


_Sample: TypeAlias = tuple[float, Path, Literal["sent", "received"], str, str, int]
"""When, on which path, which way, seen by whom, the beginning of its bytes, how many there are."""


class Feed:
    """The poller fills it, requests read it."""

    def __init__(self) -> None:
        self._lines: deque[SeenWhole] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._last: dict[tuple[str, Path], int] = {}
        """The highest sample taken of each instance and path."""

    def take(self, instances: Instances) -> list[Seen]:
        """What is new, oldest first; of more than fifty an even selection."""
        found: list[_Sample] = []
        known: dict[tuple[str, Path], int] = {}
        for instance in instances:
            for path, samples in instance.latest.recent.items():
                key = (instance.id, path)
                known[key] = last = self._last.get(key, 0)
                for number, at, payload, size in samples:
                    if number > last:
                        known[key] = max(known[key], number)
                        found.append((at, path, _kind(instance, path), instance.id, payload, size))
        self._last = known
        found.sort(key=lambda sample: sample[0])
        if len(found) > _PER_TURN:
            found = [found[index * len(found) // _PER_TURN] for index in range(_PER_TURN)]
        new = [self._line(sample) for sample in found]
        self._lines.extend(new)
        return [line.seen for line in new]

    def lines(self) -> list[SeenWhole]:
        return list(self._lines)

    def one(self, number: int) -> SeenWhole | None:
        return next((line for line in self._lines if line.seen.number == number), None)

    def _line(self, sample: _Sample) -> SeenWhole:
        at, path, kind, instance, payload, size = sample
        fields = parsed(payload)
        truncated = size > _SAMPLE_BYTES
        seen = Seen(
            number=next(self._numbers),
            at=at,
            pattern=path.pattern,
            key=path.name,
            kind=kind,
            instance=instance,
            id=_text(fields.get("id")),
            sender=_text(fields.get("sender")),
            count=_number(fields.get("count")),
            text=_text(fields.get("message")) if "message" in fields else payload[:_TEXT],
            size=size,
            readable=_readable(payload) if not truncated else {"id", "message"} <= fields.keys(),
        )
        return SeenWhole(seen=seen, payload=payload, truncated=truncated)


def parsed(payload: str | bytes) -> dict[str, object]:
    """The fields of a message, or of as much of it as there is."""
    try:
        fields = from_json(payload, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _kind(instance: Instance, path: Path) -> Literal["sent", "received"]:
    counts = instance.counts.get(path)
    return "received" if counts and (counts["received"] or counts["unreadable"]) else "sent"


def _text(value: object) -> str:
    # what was cut short may end amid a pair of surrogates
    return value[:_TEXT].encode(errors="replace").decode() if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) < _MOST else None


def _readable(payload: str) -> bool:
    try:
        read_message(payload.encode())
    except (UnreadableError, UnicodeEncodeError):
        return False
    return True
