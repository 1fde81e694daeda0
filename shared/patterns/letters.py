"""Dead letters of the patterns that have them, for an operator; and a look at what is scheduled and in hand."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared import keys
from shared.connection import Link, Reply
from shared.patterns.contract import Pattern
from shared.patterns.scripts import Script

__all__ = ["STAMP", "DeadLetters", "Letter", "in_hand", "scheduled"]

_REQUEUE = Script("requeue.lua")
_PAGE = 500
STAMP = 21
"""Characters before the payload of a scheduled message: see publish.lua."""


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

    def __init__(self, link: Link, pattern: Pattern, name: str) -> None:
        """The link must be open; the name is that of the list or stream."""
        self._link = link
        self._pattern = pattern
        self._origin = name
        self._key = keys.dead(name)

    def all(self, reason: str | None = None) -> list[Letter]:
        return [letter for letter in self.each() if reason is None or letter.reason == reason]

    def each(self, after: str | None = None, page: int = _PAGE) -> Iterator[Letter]:
        """Read in pages, so that a million of them hold up nobody; from behind the one of this id."""
        start = "-" if after is None else f"({after}"
        while letters := _letters(self._link.call("XRANGE", self._key, start, "+", "COUNT", page)):
            yield from letters
            start = f"({letters[-1].id}"

    def count(self) -> int:
        return _number(self._link.call("XLEN", self._key))

    def one(self, letter_id: str) -> Letter | None:
        letters = _letters(self._link.call("XRANGE", self._key, letter_id, letter_id))
        return letters[0] if letters else None

    def requeue(self, ids: Sequence[str]) -> int:
        """Put them back where they came from; how many there still were."""
        keys_ = [self._origin, self._key, keys.history(self._origin)]
        return sum(
            _number(self._link.call(*_REQUEUE.whole(keys_, self._pattern.name, "", *page))) for page in _pages(ids)
        )

    def replace(self, letter_id: str, payload: bytes) -> int:
        """Put this back in the place of one of them; 0 if that is gone."""
        keys_ = [self._origin, self._key, keys.history(self._origin)]
        return _number(self._link.call(*_REQUEUE.whole(keys_, self._pattern.name, payload, letter_id)))

    def purge(self, ids: Sequence[str]) -> int:
        """Delete them for good; how many there still were."""
        deleted = sum(_number(self._link.call("XDEL", self._key, *page)) for page in _pages(ids))
        if not _number(self._link.call("XLEN", self._key)):
            self._link.call("DEL", self._key)
        return deleted


def scheduled(link: Link, queue: str, most: int) -> list[tuple[datetime, bytes]]:
    """When and what, soonest first."""
    reply = link.call("ZRANGE", keys.scheduled(queue), 0, most - 1, "WITHSCORES")
    flat = [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []
    return [(_moment(float(due)), member[STAMP:]) for member, due in zip(flat[::2], flat[1::2], strict=True)]


def in_hand(link: Link, queue: str, most: int) -> list[tuple[datetime, str, int]]:
    """Until when, which claim, how many messages."""
    reply = link.call("ZRANGE", keys.leases(queue), 0, most - 1, "WITHSCORES")
    flat = [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []
    return [
        (_moment(float(deadline)), name.decode(), _number(link.call("LLEN", name)))
        for name, deadline in zip(flat[::2], flat[1::2], strict=True)
    ]


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


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
    return int(text) if text.isdecimal() else 0


def _history(text: str) -> list[dict[str, object]]:
    try:
        past = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [death for death in past if isinstance(death, dict)] if isinstance(past, list) else []
