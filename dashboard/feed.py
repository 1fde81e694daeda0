"""The feed: messages that the services happened to keep (shared/recent.py), each once, the last five hundred."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Literal, TypeAlias

from pydantic_core import from_json

from dashboard.instances import Instance, Instances
from dashboard.snapshot import Seen, SeenWhole
from shared.errors import UnreadableError
from shared.message import read

__all__ = ["Feed", "parsed"]

_KEPT = 500
_PER_TURN = 50
_TEXT = 200
_SAMPLE_BYTES = 2048


_Sample: TypeAlias = tuple[float, str, Literal["sent", "received"], str, str, int]
"""When, on which pattern, which way, seen by whom, the beginning of its bytes, how many there are."""


class Feed:
    """Filled by the poller, read by anyone."""

    def __init__(self) -> None:
        self._lines: deque[SeenWhole] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._last: dict[tuple[str, str], int] = {}
        """The highest sample taken of each instance and pattern."""

    def take(self, instances: Instances) -> list[Seen]:
        """What is new, oldest first; of more than fifty an even selection."""
        found: list[_Sample] = []
        known: dict[tuple[str, str], int] = {}
        for instance in instances:
            recent = instance.latest.get("recent")
            for pattern, samples in recent.items() if isinstance(recent, dict) else ():
                key = (instance.id, pattern)
                known[key] = last = self._last.get(key, 0)
                for number, at, payload, size in _samples(samples):
                    if number > last:
                        known[key] = max(known[key], number)
                        kind = _kind(instance, pattern)
                        found.append((at, pattern, kind, instance.id, payload, size))
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
        at, pattern, kind, instance, payload, size = sample
        fields = parsed(payload)
        truncated = size > _SAMPLE_BYTES
        seen = Seen(
            number=next(self._numbers),
            at=at,
            pattern=pattern[:_TEXT],
            kind=kind,
            instance=instance,
            id=_text(fields.get("id")),
            sender=_text(fields.get("sender")),
            count=count if isinstance(count := fields.get("count"), int) else None,
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


def _kind(instance: Instance, pattern: str) -> Literal["sent", "received"]:
    counts = instance.counts.get(pattern)
    return "received" if counts and (counts["received"] or counts["unreadable"]) else "sent"


def _samples(value: object) -> Iterator[tuple[int, float, str, int]]:
    """Of a report, which anyone could have written."""
    for sample in value if isinstance(value, list) else ():
        match sample:
            case [int(number), int() | float() as at, str(payload), int(size)]:
                yield number, float(at), payload[:_SAMPLE_BYTES], size


def _text(value: object) -> str:
    return value[:_TEXT] if isinstance(value, str) else ""


def _readable(payload: str) -> bool:
    try:
        read(payload.encode())
    except (UnreadableError, UnicodeEncodeError):
        return False
    return True
