"""Lists, requeues, replaces and deletes dead letters, for the patterns that have them.

Other programs can write to these streams, so a malformed entry is shown as far as it can be read.
"""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from townpost import keys
from townpost.patterns.contract import Pattern
from townpost.patterns.excerpts import Entry
from townpost.patterns.excerpts import entries as read_entries
from townpost.patterns.inspection import Excerpt
from townpost.patterns.scripts import Script
from townpost.patterns.stream.scripts import GROUPS, REQUEUE, WAITING
from townpost.redis.connection import Connection, Reply
from townpost.redis.replies import count_of, moment
from townpost.text import printable

__all__ = ["DeadLetter", "DeadLetters", "Page"]

_REQUEUE = Script("requeue.lua")
_PAGE = 500
_EXCERPTS = 50
_SCANNED = 2_000
_MOST_HISTORY = 64 * 1024
_FIELDS = ("payload", "reason", "error", "attempts", "crashes", "by")
_UNKNOWN = "unknown"
_LOG = logging.getLogger("townpost.dead_letters")
_LAST_ID = f"{2**64 - 1}-{2**64 - 1}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter."""

    id: str
    at: datetime
    reason: str
    """failed, crashed, rejected or unreadable."""
    error: str
    attempts: int
    crashes: int
    by: str
    """The consumer that made it a dead letter."""
    payload: bytes
    size: int
    """Bytes of the whole payload; an excerpt has only its beginning."""
    history: list[dict[str, object]]
    """Its earlier deaths, if it was requeued before."""


@dataclass(frozen=True, slots=True)
class Page:
    """Excerpts of some dead letters."""

    letters: list[DeadLetter]
    total: int
    """The number of all dead letters, whatever their reason."""
    next: str | None
    """The id after which the next page begins; None if this is the last page."""


class DeadLetters:
    """The dead letters of one queue or stream, oldest first."""

    def __init__(self, connection: Connection, pattern: Pattern, name: str) -> None:
        """The connection must be open; the name is that of the list or stream."""
        self._connection = connection
        self._pattern = pattern
        self._origin = name
        self._key = keys.of(name).dead

    def all(self, reason: str | None = None) -> list[DeadLetter]:
        return [dead_letter for dead_letter in self.each() if reason is None or dead_letter.reason == reason]

    def each(self, after: str | None = None, page: int = _PAGE) -> Iterator[DeadLetter]:
        """Yield all after this id. They are read in pages, so that a million of them delay no other client."""
        start = "-" if after is None else f"({after}"
        while dead_letters := _whole(self._connection.call("XRANGE", self._key, start, "+", "COUNT", page)):
            yield from dead_letters
            if dead_letters[-1].id == _LAST_ID:
                return  # there is no later id, and Redis refuses a range after it
            start = f"({dead_letters[-1].id}"

    def count(self) -> int:
        return _number(self._connection.call("XLEN", self._key))

    def one(self, letter_id: str) -> DeadLetter | None:
        dead_letters = _whole(self._connection.call("XRANGE", self._key, letter_id, letter_id))
        return dead_letters[0] if dead_letters else None

    def ids(self, reason: str | None = None) -> list[str]:
        """The ids alone; no payload leaves Redis."""
        found, last = [], ""
        while entries := self._entries(last, _EXCERPTS, "reason"):
            found += [entry.id for entry in entries if reason is None or entry.text("reason", _UNKNOWN) == reason]
            last = entries[-1].id
        return found

    def page(self, after: str | None, limit: int, reason: str | None = None) -> Page:
        """Excerpts of some. If few have that reason, a page may be short although the next one has more."""
        found: list[DeadLetter] = []
        last, scanned, more = after or "", 0, True
        while more and len(found) < limit and scanned < _SCANNED:
            entries = self._entries(last, min(_EXCERPTS, limit - len(found)), *_FIELDS)
            more = bool(entries)
            scanned += len(entries)
            last = entries[-1].id if entries else last
            dead_letters = [_dead_letter(entry) for entry in entries]
            found += [dead_letter for dead_letter in dead_letters if reason is None or dead_letter.reason == reason]
        more = more and bool(self._entries(last, 1, "reason"))
        return Page(found, self.count(), last if more else None)

    def excerpt(self, letter_id: str, most: int) -> DeadLetter | None:
        """One dead letter with its history, and at most so many bytes of its payload."""
        cut = max(most, _MOST_HISTORY)
        found = read_entries(self._connection, self._key, letter_id, 1, *_FIELDS, "history", cut=cut)
        return _dead_letter(found[0]) if found and found[0].id == letter_id else None

    def _entries(self, after: str, most: int, *fields: str) -> list[Entry]:
        """The next entries; none after the last possible id, because Redis refuses a range after it."""
        if after == _LAST_ID:
            return []
        return read_entries(self._connection, self._key, f"({after}" if after else "-", most, *fields)

    def requeue(self, ids: Sequence[str]) -> int:
        """Put these back where they came from. Returns how many were found."""
        if self._pattern.guarantees.groups:
            return sum(self._requeue_for_groups(page, "") for page in _pages(ids))
        keys_ = [self._origin, self._key, keys.of(self._origin).history, keys.of(self._origin).counted]
        return sum(
            _number(self._connection.call(*_REQUEUE.whole(keys_, self._pattern.name, "", *page)))
            for page in _pages(ids)
        )

    def replace(self, letter_id: str, payload: bytes) -> int:
        """Requeue this payload instead of a dead letter's own. Returns 0 if the dead letter does not exist."""
        if self._pattern.guarantees.groups:
            return self._requeue_for_groups([letter_id], payload)
        keys_ = [self._origin, self._key, keys.of(self._origin).history, keys.of(self._origin).counted]
        return _number(self._connection.call(*_REQUEUE.whole(keys_, self._pattern.name, payload, letter_id)))

    def _requeue_for_groups(self, ids: Sequence[str], payload: bytes | str) -> int:
        """Requeue each for the group in which it died."""
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
        """Delete these. Returns how many were found."""
        deleted = sum(_number(self._connection.call("XDEL", self._key, *page)) for page in _pages(ids))
        if not _number(self._connection.call("XLEN", self._key)):
            self._connection.call("DEL", self._key)
        return deleted


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE)]


def _number(reply: Reply) -> int:
    if not isinstance(reply, int):
        raise TypeError(f"Redis answered {reply!r} where a number was due")
    return reply


def _whole(reply: Reply) -> list[DeadLetter]:
    """Parse a reply of XRANGE."""
    found = []
    for entry in reply if isinstance(reply, list) else []:
        match entry:
            case [bytes(entry_id), list(flat)]:
                values = [value for value in flat if isinstance(value, bytes)]
                fields = {
                    name.decode(errors="replace"): Excerpt(value, len(value))
                    for name, value in zip(values[::2], values[1::2], strict=False)
                }
                found.append(_dead_letter(Entry(entry_id.decode(), fields)))
    return found


def _dead_letter(entry: Entry) -> DeadLetter:
    """Parse fields that any client may have written: an unreadable field leaves the others readable."""
    payload = entry.excerpt("payload")
    return DeadLetter(
        id=entry.id,
        at=moment(int(entry.id.partition("-")[0])),
        reason=entry.text("reason", _UNKNOWN),
        error=entry.text("error"),
        attempts=count_of(entry.text("attempts")),
        crashes=count_of(entry.text("crashes")),
        by=entry.text("by"),
        payload=payload.beginning,
        size=payload.size,
        history=_history(entry.text("history", "[]")),
    )


def _history(text: str) -> list[dict[str, object]]:
    """Earlier deaths; only fields that hold one value, as all of ours do."""
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
