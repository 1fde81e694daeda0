"""Dead letters of the patterns that have them, for an operator; and a look at what is scheduled and in hand.

Other programs can write under these keys: what is not as we write it is skipped and counted, or shown as far as it can
be read.
"""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from townpost import keys
from townpost.errors import WrongTypeError
from townpost.patterns.contract import Pattern
from townpost.patterns.scripts import Script
from townpost.patterns.stream.scripts import GROUPS, REQUEUE, WAITING
from townpost.redis.connection import Connection, Reply, refusal
from townpost.text import printable

__all__ = ["STAMP", "DeadLetters", "Letter", "Listing", "in_hand", "scheduled"]

T = TypeVar("T")

_REQUEUE = Script("requeue.lua")
_PAGE = 500
_LOG = logging.getLogger("townpost.letters")
STAMP = 21
"""Characters before the payload of a scheduled message: see publish.lua."""
_MOST_DIGITS = 18
_LAST_ID = f"{2**64 - 1}-{2**64 - 1}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    id: str
    at: datetime
    reason: str
    """failed, crashed or unreadable."""
    error: str
    attempts: int
    crashes: int
    by: str
    """The consumer that gave it up."""
    payload: bytes
    history: list[dict[str, object]]
    """Its earlier deaths, if it was requeued before."""


class DeadLetters:
    """Those of one pattern, oldest first."""

    def __init__(self, connection: Connection, pattern: Pattern, name: str) -> None:
        """The link must be open; the name is that of the list or stream."""
        self._connection = connection
        self._pattern = pattern
        self._origin = name
        self._key = keys.of(name).dead

    def all(self, reason: str | None = None) -> list[Letter]:
        return [letter for letter in self.each() if reason is None or letter.reason == reason]

    def each(self, after: str | None = None, page: int = _PAGE) -> Iterator[Letter]:
        """Read in pages, so that a million of them hold up nobody; from behind the one of this id."""
        start = "-" if after is None else f"({after}"
        while letters := _letters(self._connection.call("XRANGE", self._key, start, "+", "COUNT", page)):
            yield from letters
            if letters[-1].id == _LAST_ID:
                return  # there is no id behind it, and Redis refuses to be asked for one
            start = f"({letters[-1].id}"

    def count(self) -> int:
        return _number(self._connection.call("XLEN", self._key))

    def one(self, letter_id: str) -> Letter | None:
        letters = _letters(self._connection.call("XRANGE", self._key, letter_id, letter_id))
        return letters[0] if letters else None

    def requeue(self, ids: Sequence[str]) -> int:
        """Put them back where they came from; how many there still were."""
        if self._pattern.guarantees.groups:
            return sum(self._requeue_for_groups(page, "") for page in _pages(ids))
        keys_ = [self._origin, self._key, keys.of(self._origin).history, keys.of(self._origin).counted]
        return sum(
            _number(self._connection.call(*_REQUEUE.whole(keys_, self._pattern.name, "", *page)))
            for page in _pages(ids)
        )

    def replace(self, letter_id: str, payload: bytes) -> int:
        """Put this back in the place of one of them; 0 if that is gone."""
        if self._pattern.guarantees.groups:
            return self._requeue_for_groups([letter_id], payload)
        keys_ = [self._origin, self._key, keys.of(self._origin).history, keys.of(self._origin).counted]
        return _number(self._connection.call(*_REQUEUE.whole(keys_, self._pattern.name, payload, letter_id)))

    def _requeue_for_groups(self, ids: Sequence[str], payload: bytes | str) -> int:
        """Each for the group in which it died."""
        names = self._connection.call(*GROUPS.whole([self._key], *ids))
        if not isinstance(names, list):
            raise TypeError(f"groups.lua answered {names!r}")
        groups: dict[str, list[str]] = {}
        for letter_id, name in zip(ids, names, strict=True):
            group = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else ""
            groups.setdefault(group, []).append(letter_id)
        return sum(self._requeue_for(group, some, payload) for group, some in groups.items())

    def _requeue_for(self, group: str, ids: Sequence[str], payload: bytes | str) -> int:
        companions = [companion(self._origin, group) for companion in (keys.retries, keys.wake, keys.deaths)]
        keys_ = [key.encode("utf-8", "surrogateescape") for key in (self._origin, self._key, *companions)]
        name = group.encode("utf-8", "surrogateescape")
        match self._connection.call(*REQUEUE.whole(keys_, name, WAITING, payload, *ids)):
            case [int(count), int(everywhere)]:
                if everywhere:
                    _LOG.warning(
                        "%d dead letters go to every group of '%s': the group they died in%s is not there any more",
                        everywhere,
                        self._origin,
                        f", '{printable(group)}'," if group else "",
                    )
                return count
            case reply:
                raise TypeError(f"requeue.lua answered {reply!r}")

    def purge(self, ids: Sequence[str]) -> int:
        """Delete them for good; how many there still were."""
        deleted = sum(_number(self._connection.call("XDEL", self._key, *page)) for page in _pages(ids))
        if not _number(self._connection.call("XLEN", self._key)):
            self._connection.call("DEL", self._key)
        return deleted


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What was found, and how many members were skipped because this queue did not write them."""

    rows: list[T]
    skipped: int


def scheduled(connection: Connection, queue: str, most: int) -> Listing[tuple[datetime, bytes]]:
    """When and what, soonest first."""
    found = _scored(connection, keys.of(queue).scheduled, most)
    rows = [(_moment(due), member[STAMP:]) for member, due in found if member[:STAMP].isdigit() and len(member) > STAMP]
    return Listing(rows, len(found) - len(rows))


def in_hand(connection: Connection, queue: str, most: int) -> Listing[tuple[datetime, str, int]]:
    """Until when, which claim, how many messages."""
    found = _scored(connection, keys.of(queue).leases, most)
    prefix = keys.of(queue).claims.encode()
    claims = [(name, deadline) for name, deadline in found if name.startswith(prefix)]
    lengths = connection.pipeline([("LLEN", name) for name, _ in claims]) if claims else []
    rows = []
    for (name, deadline), length in zip(claims, lengths, strict=True):
        if isinstance(length, int):
            rows.append((_moment(deadline), name.decode("utf-8", "backslashreplace"), length))
        elif not isinstance(error := refusal(str(length)), WrongTypeError):
            raise error
    return Listing(rows, len(found) - len(rows))


def _scored(connection: Connection, key: str, most: int) -> list[tuple[bytes, float]]:
    reply = connection.call("ZRANGE", key, 0, most - 1, "WITHSCORES")
    flat = [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []
    return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]


def _moment(milliseconds: float) -> datetime:
    """The nearest that a datetime can be: a score may be infinite, and an entry from the year 584 million."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if milliseconds > 0 else datetime.min.replace(tzinfo=UTC)


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE)]


def _number(reply: Reply) -> int:
    if not isinstance(reply, int):
        raise TypeError(f"Redis answered {reply!r} where a number was due")
    return reply


def _letters(reply: Reply) -> list[Letter]:
    letters = []
    for entry in reply if isinstance(reply, list) else []:
        match entry:
            case [bytes(entry_id), list(flat)]:
                values = [value for value in flat if isinstance(value, bytes)]
                letters.append(_letter(entry_id.decode(), dict(zip(values[::2], values[1::2], strict=False))))
    return letters


def _letter(letter_id: str, fields: dict[bytes, bytes]) -> Letter:
    """Of whatever stands there: anyone can write to a stream, and the rest must stay readable."""

    def text(name: bytes, default: str = "") -> str:
        return fields[name].decode("utf-8", "backslashreplace") if name in fields else default

    return Letter(
        id=letter_id,
        at=_moment(int(letter_id.split("-", maxsplit=1)[0])),
        reason=text(b"reason", "unknown"),
        error=text(b"error"),
        attempts=_count(text(b"attempts")),
        crashes=_count(text(b"crashes")),
        by=text(b"by"),
        payload=fields.get(b"payload", b""),
        history=_history(text(b"history", "[]")),
    )


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def _history(text: str) -> list[dict[str, object]]:
    """Earlier deaths; of each the fields that hold one value, as all of ours do."""
    try:
        past = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [_death(death) for death in past if isinstance(death, dict)] if isinstance(past, list) else []


def _death(fields: dict[str, object]) -> dict[str, object]:
    death: dict[str, object] = {}
    for name, value in fields.items():
        match value:
            case str():
                death[_encodable(name)] = _encodable(value)
            case float() if not math.isfinite(value):
                pass
            case int() | float() | None:
                death[_encodable(name)] = value
    return death


def _encodable(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode()
