"""Tables of what waits for an operator, for another attempt or for a handler's end: in pages, cut to an excerpt."""

import json
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from townpost import Connection, Reply, keys

from . import scripts
from .depths import RETRIES, holders_of
from .exchange import DeadLetter, DeadPage, Flight, FlightPage, ScheduledMessage, ScheduledPage
from .feed import parsed
from .paths import Path
from .replies import fields, number, pairs
from .reports import number_of

__all__ = ["dead_letter", "dead_page", "each_letter", "flights", "scheduled"]

_EXCERPT = 200
_CUT = 2048
_FIELDS = ("payload", "reason", "error", "attempts", "crashes", "by")
_AT_A_TIME = 50
_SCANNED = 2_000
_MOST_CONSUMERS = 50
_MOST_CLAIMS = 2_000
_MOST_HISTORY = 64 * 1024


class _Entry:
    """One entry of a stream, each field cut, as entries.lua gives it."""

    def __init__(self, reply: Reply) -> None:
        self.id, self._fields = "", dict[str, tuple[bytes, int]]()
        match reply:
            case [bytes(entry_id), list(flat)]:
                self.id = entry_id.decode(errors="replace")
                for name, value, size in zip(flat[::3], flat[1::3], flat[2::3], strict=False):
                    if isinstance(name, bytes) and isinstance(value, bytes) and isinstance(size, int):
                        self._fields[name.decode(errors="replace")] = value, size

    def text(self, name: str, default: str = "") -> str:
        return self._fields[name][0].decode("utf-8", "backslashreplace") if name in self._fields else default

    def bytes(self, name: str) -> tuple[bytes, int]:
        """Its beginning, and how many there are."""
        return self._fields.get(name, (b"", 0))


def each_letter(connection: Connection, dead: str, after: str | None = None) -> Iterator[tuple[str, str]]:
    """Id and reason of every dead letter, oldest first."""
    start = "-" if after is None else f"({after}"
    while found := _entries(connection, dead, start, _AT_A_TIME, "reason"):
        yield from ((entry.id, entry.text("reason", "unknown")) for entry in found)
        start = f"({found[-1].id}"


def dead_page(connection: Connection, dead: str, after: str | None, limit: int, reason: str | None) -> DeadPage:
    """One page; where few are of that reason it may be short, with more on the next."""
    found: list[DeadLetter] = []
    last = after
    scanned = 0
    more = True
    while more and len(found) < limit and scanned < _SCANNED:
        start = "-" if last is None else f"({last}"
        some = _entries(connection, dead, start, min(_AT_A_TIME, limit - len(found)), *_FIELDS)
        more = bool(some)
        scanned += len(some)
        last = some[-1].id if some else last
        letters = [_letter(entry) for entry in some]
        found += [letter for letter in letters if reason is None or letter.reason == reason]
    more = more and bool(_entries(connection, dead, f"({last}", 1, "reason"))
    return DeadPage(letters=found, total=number(connection.call("XLEN", dead)) or 0, next=last if more else None)


def dead_letter(connection: Connection, dead: str, letter_id: str, most: int) -> DeadLetter | None:
    """One of them, with its payload up to so many bytes, and its history."""
    reply = connection.call(*scripts.entries(dead, letter_id, 1, max(most, _MOST_HISTORY), *_FIELDS, "history"))
    found = [entry for entry in _read(reply) if entry.id == letter_id]
    return _letter(found[0], most) if found else None


def _letter(entry: _Entry, most: int | None = None) -> DeadLetter:
    payload, size = entry.bytes("payload")
    shown, truncated = _shown(payload, size, most or _EXCERPT)
    told = parsed(payload)
    return DeadLetter(
        id=entry.id,
        at=number_of(entry.id.partition("-")[0]) / 1000,
        reason=entry.text("reason", "unknown")[:_EXCERPT],
        error=entry.text("error")[:_CUT],
        attempts=number_of(entry.text("attempts")),
        crashes=number_of(entry.text("crashes")),
        by=entry.text("by")[:_EXCERPT],
        message_id=_text(told.get("id")),
        sender=_text(told.get("sender")),
        payload=shown,
        size=size,
        truncated=truncated,
        history=[] if most is None else _history(entry.text("history", "[]")),
    )


def _history(text: str) -> list[dict[str, JsonValue]]:
    try:
        past = json.loads(text)
        clean = json.loads(json.dumps(past, allow_nan=False).encode("utf-8", "replace"))
        json.dumps(clean, ensure_ascii=False).encode()  # half a surrogate pair can be written nowhere
    except (ValueError, RecursionError):
        return []
    return [death for death in clean if isinstance(death, dict)] if isinstance(clean, list) else []


def _entries(connection: Connection, stream: str, start: str, most: int, *names: str) -> list[_Entry]:
    return _read(connection.call(*scripts.entries(stream, start, most, _CUT, *names)))


def _read(reply: Reply) -> list[_Entry]:
    return [_Entry(entry) for entry in reply] if isinstance(reply, list) else []


def scheduled(connection: Connection, path: Path, lease_seconds: float, offset: int, limit: int) -> ScheduledPage:
    if path.pattern == "reliable":
        return _scheduled(connection, path.name, offset, limit)
    return _retries(connection, path, lease_seconds, offset, limit)


def _scheduled(connection: Connection, queue: str, offset: int, limit: int) -> ScheduledPage:
    where = keys.of(queue).scheduled, keys.of(queue).attempts
    reply = connection.call(*scripts.scheduled(*where, offset, limit, _CUT))
    total, *rows = reply if isinstance(reply, list) else [0]
    messages = []
    for row in rows:
        match row:
            case [bytes(sha), bytes(score), bytes(level), bytes(payload), int(size), bytes(failed)]:
                due = float(score)
                name = f"{score.decode()}-{sha.decode()}"
                attempts = number_of(failed.decode(errors="replace"))
                messages.append(_message(payload, size, name, due / 1000, level=level, attempts=attempts))
    return ScheduledPage(messages=messages, total=number(total) or 0)


def _retries(connection: Connection, path: Path, lease_seconds: float, offset: int, limit: int) -> ScheduledPage:
    """Of the stream: entries that wait in nobody's hands until their lease has run out."""
    held = dict(_holders(connection, path)).get(RETRIES, 0)
    entries = _pending(connection, path, RETRIES, offset + limit)[offset:] if held else []
    payloads = _payloads(connection, path.name, [entry for entry, *_ in entries])
    now = _now(connection)
    return ScheduledPage(
        messages=[
            _message(payload, size, "", now + lease_seconds - idle, level=b"0", attempts=attempts)
            for (_, _, idle, attempts), (payload, size) in zip(entries, payloads, strict=False)
        ],
        total=held,
    )


def flights(connection: Connection, path: Path, offset: int, limit: int) -> FlightPage:
    return (_claims if path.pattern == "reliable" else _held)(connection, path, offset, limit)


def _claims(connection: Connection, path: Path, offset: int, limit: int) -> FlightPage:
    reply = connection.call(*scripts.claims(path.name, _MOST_CLAIMS))
    there, named = (reply[0], reply[1:]) if isinstance(reply, list) else (0, [])
    claims = sorted(pairs(named), key=lambda claim: float(claim[1]))
    found = claims[offset : offset + limit]
    (heads,) = connection.pipeline([scripts.heads([name for name, _ in found], _CUT)]) if found else ([],)
    return FlightPage(
        flights=[
            _claim(name, float(until) / 1000, head)
            for (name, until), head in zip(found, heads if isinstance(heads, list) else [], strict=False)
        ],
        total=number(there) or 0,
    )


def _claim(name: bytes, until: float, head: Reply) -> Flight:
    length, payload, size = head if isinstance(head, list) else (0, b"", 0)
    text = name.decode(errors="replace")
    return Flight(
        id=text,
        consumer=text.rpartition(":claim:")[2].removesuffix(":ahead").rpartition(":")[0],
        messages=number(length) or 0,
        until=until if abs(until) < _MOST_SECONDS else None,
        idle=None,
        attempts=None,
        payload=_shown(payload, number(size) or 0)[0] if isinstance(payload, bytes) else "",
    )


def _held(connection: Connection, path: Path, offset: int, limit: int) -> FlightPage:
    at_work = [(name, count) for name, count in _holders(connection, path) if name != RETRIES][:_MOST_CONSUMERS]
    entries = [entry for name, _ in at_work for entry in _pending(connection, path, name, offset + limit)]
    entries = sorted(entries)[offset : offset + limit]
    payloads = _payloads(connection, path.name, [entry for entry, *_ in entries])
    return FlightPage(
        flights=[
            Flight(
                id=entry,
                consumer=consumer,
                messages=1,
                until=None,
                idle=idle,
                attempts=attempts,
                payload=_shown(payload, size)[0],
            )
            for (entry, consumer, idle, attempts), (payload, size) in zip(entries, payloads, strict=False)
        ],
        total=sum(count for _, count in at_work),
    )


def _holders(connection: Connection, path: Path) -> list[tuple[str, int]]:
    """Who has how many; empty where there is no such group."""
    (groups,) = connection.pipeline([("XINFO", "GROUPS", path.name)])
    known = [fields(group).get("name") for group in groups] if isinstance(groups, list) else []
    if path.group.encode() not in known:
        return []
    match connection.call("XPENDING", path.name, path.group):
        case [_, _, _, holders]:
            return holders_of(holders)
    return []


def _pending(connection: Connection, path: Path, consumer: str, most: int) -> list[tuple[str, str, float, int]]:
    """(entry, consumer, seconds idle, times handed out) of one consumer."""
    (reply,) = connection.pipeline([("XPENDING", path.name, path.group, "-", "+", most, consumer)])
    found = []
    for entry in reply if isinstance(reply, list) else []:
        match entry:
            case [bytes(entry_id), bytes(holder), int(idle), int(times)]:
                found.append((entry_id.decode(), holder.decode(errors="replace"), idle / 1000, times))
    return found


def _payloads(connection: Connection, stream: str, ids: Sequence[str]) -> list[tuple[bytes, int]]:
    """The beginning of each, and its size; fewer than were asked for, where they are large."""
    reply = connection.call(*scripts.entries_of(stream, ids, _CUT)) if ids else []
    return [entry.bytes("message") for entry in _read(reply)]


def _now(connection: Connection) -> float:
    match connection.call("TIME"):
        case [bytes(seconds), _]:
            return float(seconds)
    return 0.0


_MOST_SECONDS = 1e12


def _message(payload: bytes, size: int, member: str, due: float, *, level: bytes, attempts: int) -> ScheduledMessage:
    shown, truncated = _shown(payload, size)
    told = parsed(payload)
    return ScheduledMessage(
        member=member,
        due=max(-_MOST_SECONDS, min(due, _MOST_SECONDS)),
        priority=int(level) if level.isdigit() else 0,
        attempts=attempts,
        message_id=_text(told.get("id")),
        sender=_text(told.get("sender")),
        payload=shown,
        size=size,
        truncated=truncated,
    )


def _shown(payload: bytes, size: int, most: int = _EXCERPT) -> tuple[str, bool]:
    text = payload.decode("utf-8", "backslashreplace")
    return (text[:most], True) if size > len(payload) or len(text) > most else (text, False)


def _text(value: object) -> str:
    return value[:_EXCERPT].encode(errors="replace").decode() if isinstance(value, str) else ""
