"""Reads that cut what they read inside Redis: of a payload of 250 MiB its beginning alone is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from townpost.errors import UnreadableError
from townpost.message import read
from townpost.patterns.inspection import CUT, Excerpt
from townpost.patterns.scripts import Script
from townpost.redis.connection import Command, Connection, Reply

__all__ = ["Entry", "Head", "entries", "first_entry", "head", "heads", "only_head", "single_entries"]

_ENTRIES = Script("entries.lua")
_HEADS = Script("heads.lua")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream with some of its fields."""

    id: str
    fields: Mapping[str, Excerpt]

    def text(self, name: str, default: str = "") -> str:
        return self.fields[name].beginning.decode("utf-8", "backslashreplace") if name in self.fields else default

    def excerpt(self, name: str) -> Excerpt:
        return self.fields.get(name, Excerpt())


def entries(connection: Connection, stream: str, start: str, most: int, *fields: str, cut: int = CUT) -> list[Entry]:
    """From an id on, as XRANGE takes it; fewer than were asked for, where they are large."""
    return _parsed(connection.call(*_ENTRIES.read_only([stream], most, cut, start, "+", *fields)))


def single_entries(connection: Connection, stream: str, ids: Sequence[str]) -> list[Excerpt]:
    """The payloads of these messages; fewer than were asked for, where they are large."""
    if not ids:
        return []
    reply = connection.call(*_ENTRIES.read_only([stream], 0, CUT, "", "", *ids))
    return [entry.excerpt("message") for entry in _parsed(reply)]


def first_entry(stream: str, start: bytes) -> Command:
    """Its id alone."""
    return _ENTRIES.read_only([stream], 1, 0, start, "+")


def heads(lists: Sequence[str | bytes]) -> Command:
    """The first message of each list; `head` reads what is answered for one."""
    return _HEADS.read_only(lists, CUT)


@dataclass(frozen=True, slots=True)
class Head:
    """How many messages a list has, the beginning of the first, and when that was created, if it can be read."""

    length: int | None
    first: Excerpt
    created: float | None


def head(reply: Reply) -> Head:
    """Of one list."""
    match reply:
        case [length, bytes(beginning), int(size)]:
            created = _created(beginning) if size == len(beginning) else None
            return Head(length if isinstance(length, int) else None, Excerpt(beginning, size), created)
        case [int(length), *_]:
            return Head(length, Excerpt(), None)
    return Head(None, Excerpt(), None)


def only_head(reply: Reply) -> Head:
    """Of the one list that was asked for."""
    return head(reply[0] if isinstance(reply, list) and reply else None)


def _created(payload: bytes) -> float | None:
    try:
        return read(payload).timestamp.timestamp()
    except (UnreadableError, OverflowError, ValueError):
        return None


def _parsed(reply: Reply) -> list[Entry]:
    return [_entry(entry) for entry in reply] if isinstance(reply, list) else []


def _entry(reply: Reply) -> Entry:
    """As entries.lua gives it."""
    match reply:
        case [bytes(entry_id), list(flat)]:
            fields = {
                name.decode(errors="replace"): Excerpt(value, size)
                for name, value, size in zip(flat[::3], flat[1::3], flat[2::3], strict=False)
                if isinstance(name, bytes) and isinstance(value, bytes) and isinstance(size, int)
            }
            return Entry(entry_id.decode(errors="replace"), fields)
    return Entry("", {})
