"""The report of an instance, parsed: any client may have written it, so a field has its type or is empty."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from townpost import PATTERNS, Counts

from .paths import Counters, Path, known_as

__all__ = ["COUNTED", "MOST_BYTES", "Own", "Report", "Sample", "number_of", "read_report"]

COUNTED = tuple(f.name for f in fields(Counts) if f.type is int)
MOST_BYTES = 512 * 1024
"""A report has up to forty samples of 2 KiB, written as JSON."""

_TEXT = 200
_ERROR = 300
_SAMPLE = 2048
_MOST = 64
_MOST_SECONDS = 1e12
_MOST_DIGITS = 18

Own = Callable[[str], Path]
"""By pattern: the path of an instance that does not report its own (older versions)."""


class Sample(NamedTuple):
    """One message of those it kept."""

    number: int
    at: float
    payload: str
    """Its beginning."""
    size: int


def number_of(text: str) -> int:
    """Digits as a number; 0 for what is none, or too long to be one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def _text(value: object, most: int = _TEXT) -> str:
    # half a surrogate pair is legal in JSON, and can be written nowhere
    return value[:most].encode(errors="replace").decode() if isinstance(value, str) else ""


def _error(value: object) -> str:
    return _text(value, _ERROR)


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 10**_MOST_DIGITS else 0


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < _MOST_SECONDS else 0.0


def _seconds_or_none(value: object) -> float | None:
    return None if value is None else _seconds(value)


def _dict(value: object) -> dict[object, object]:
    return dict(list(value.items())[:_MOST]) if isinstance(value, dict) else {}


def _waits(value: object) -> dict[str, float]:
    return {_text(name): _seconds(seconds) for name, seconds in _dict(value).items()}


Text = Annotated[str, BeforeValidator(_text)]
Count = Annotated[int, BeforeValidator(_count)]
Seconds = Annotated[float, BeforeValidator(_seconds)]


class Report(BaseModel):
    """What one process reports of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[str, BeforeValidator(_text), Field(min_length=1)]
    role: Text = ""
    host: Text = ""
    pid: Count = 0
    started: Seconds = 0.0
    at: Seconds = 0.0
    client_id: Count = 0
    pattern: Text = ""
    clock_offset: Annotated[float | None, BeforeValidator(_seconds_or_none)] = None
    error: Annotated[str, BeforeValidator(_error)] = ""
    error_at: Annotated[float | None, BeforeValidator(_seconds_or_none)] = None
    ended: Annotated[bool, BeforeValidator(lambda value: value is True)] = False
    stall_seconds: Seconds = 0.0
    idle_seconds: Annotated[dict[str, float], BeforeValidator(_waits)] = Field(default_factory=dict)
    counts: dict[Path, Counters] = Field(default_factory=dict)
    buckets: dict[Path, list[int]] = Field(default_factory=dict)
    """Of the latency."""
    recent: dict[Path, list[Sample]] = Field(default_factory=dict)


def read_report(raw: bytes | str | Mapping[str, object], own: Own) -> Report | None:
    """None for what is no report."""
    try:
        report = raw if isinstance(raw, Mapping) else json.loads(raw)
        if not isinstance(report, Mapping):
            return None
        paths = _paths(report, own)
        patterns, recent = _dict(report.get("patterns")), _dict(report.get("recent"))
        elsewhere = _elsewhere(report, own)
        plain = {name: report[name] for name in Report.model_fields if name in report}
        return Report.model_validate(
            plain
            | {
                "counts": elsewhere | {path: _counters(patterns[path.pattern]) for path in paths},
                "buckets": {path: _buckets(patterns[path.pattern]) for path in paths},
                "recent": {path: list(_samples(recent.get(path.pattern))) for path in paths},
            }
        )
    except (ValueError, RecursionError, ValidationError):  # also a number of 5,000 digits
        return None


def _paths(report: Mapping[str, object], own: Own) -> list[Path]:
    """What it uses: at most one name for each pattern."""
    said = _dict(report.get("names"))
    found = []
    for pattern in _dict(report.get("patterns")):
        if isinstance(pattern, str) and pattern in PATTERNS:
            ours = own(pattern)
            name = said.get(pattern, ours.name)
            if name == ours.name or known_as(pattern, name):
                found.append(Path(pattern, str(name), ours.group and (_text(report.get("group")) or ours.group)))
    return found


def _elsewhere(report: Mapping[str, object], own: Own) -> dict[Path, Counters]:
    """What a publisher sent under names that are not those of its settings."""
    said = report.get("elsewhere")
    found: dict[Path, Counters] = {}
    for one in said[:_MOST] if isinstance(said, list) else ():
        match one:
            case {"pattern": str(pattern), "name": name} if pattern in PATTERNS and known_as(pattern, name):
                ours = own(pattern)
                path = Path(pattern, str(name), ours.group and (_text(report.get("group")) or ours.group))
                found[path] = _counters(one)
    return found


def _counters(counts: object) -> Counters:
    report = _dict(counts)
    return Counter({name: _count(report.get(name)) for name in COUNTED})


def _buckets(counts: object) -> list[int]:
    found = _dict(_dict(counts).get("latency_ms")).get("buckets")
    return [_count(count) for count in found[:_MOST]] if isinstance(found, list) else []


def _samples(value: object) -> Iterable[Sample]:
    for sample in value[:_MOST] if isinstance(value, list) else ():
        match sample:
            case [int(number), int() | float() as at, str(payload), int(size)]:
                yield Sample(_count(number), _seconds(at), _text(payload, _SAMPLE), _count(size))
