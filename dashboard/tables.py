"""Tables of what waits for an operator, for another attempt or for a handler's end: in pages, cut to an excerpt."""

import hashlib
from collections.abc import Sequence

from dashboard.exchange import DeadLetter, DeadPage, Flight, FlightPage, ScheduledMessage, ScheduledPage
from dashboard.feed import parsed
from dashboard.replies import bytes_of, number, pairs
from shared import keys
from shared.connection import Link, Reply
from shared.patterns.letters import STAMP, DeadLetters, Letter
from shared.settings import Settings

__all__ = ["dead_letter", "dead_page", "flights", "members", "scheduled"]

_EXCERPT = 200
_AT_A_TIME = 10
"""Dead letters in one reply: each may have a megabyte."""
_SCANNED = 2_000
_MOST_CONSUMERS = 50
_RETRIES = "waiting"


def dead_page(letters: DeadLetters, after: str | None, limit: int, reason: str | None) -> DeadPage:
    """One page; where few are of that reason it may be short, with more on the next."""
    found: list[DeadLetter] = []
    last: str | None = None
    more = False
    for scanned, letter in enumerate(letters.each(after, _AT_A_TIME)):
        if len(found) == limit or scanned == _SCANNED:
            more = True
            break
        last = letter.id
        if reason is None or letter.reason == reason:
            found.append(dead_letter(letter, whole=False))
    return DeadPage(letters=found, total=letters.count(), next=last if more else None)


def dead_letter(letter: Letter, *, whole: bool) -> DeadLetter:
    payload, truncated = _shown(letter.payload, whole=whole)
    fields = parsed(letter.payload)
    return DeadLetter(
        id=letter.id,
        at=letter.at.timestamp(),
        reason=letter.reason,
        error=letter.error,
        attempts=letter.attempts,
        crashes=letter.crashes,
        by=letter.by,
        message_id=_text(fields.get("id")),
        sender=_text(fields.get("sender")),
        payload=payload,
        size=len(letter.payload),
        truncated=truncated,
        history=letter.history if whole else [],
    )


def scheduled(link: Link, settings: Settings, pattern: str, offset: int, limit: int) -> ScheduledPage:
    return (_scheduled if pattern == "reliable" else _retries)(link, settings, offset, limit)


def _scheduled(link: Link, settings: Settings, offset: int, limit: int) -> ScheduledPage:
    key = keys.scheduled(settings.reliable_queue)
    found = pairs(link.call("ZRANGE", key, offset, offset + limit - 1, "WITHSCORES"))
    payloads = [member[STAMP:] for member, _ in found]
    shas = [hashlib.sha1(payload, usedforsecurity=False).hexdigest() for payload in payloads]
    attempts: Sequence[Reply] = [None] * len(found)
    if found:
        reply = link.call("HMGET", keys.attempts(settings.reliable_queue), *shas)
        attempts = reply if isinstance(reply, list) else attempts
    return ScheduledPage(
        messages=[
            _message(
                payload, member=_name(member, score), due=float(score) / 1000, level=member[STAMP - 1 : STAMP]
            ).model_copy(update={"attempts": int(failed) if isinstance(failed, bytes) and failed.isdigit() else 0})
            for (member, score), payload, failed in zip(found, payloads, attempts, strict=True)
        ],
        total=number(link.call("ZCARD", key)) or 0,
    )


def _retries(link: Link, settings: Settings, offset: int, limit: int) -> ScheduledPage:
    """Of the stream: entries that wait in nobody's hands until their lease has run out."""
    stream, group = settings.stream, settings.consumer_group
    entries = _pending(link, settings, _RETRIES, offset + limit)[offset:]
    payloads = _payloads(link, stream, [entry for entry, *_ in entries])
    now = _now(link)
    summary = link.call("XPENDING", stream, group) if _group_exists(link, settings) else None
    total = next((int(count) for name, count in _holders(summary) if name == _RETRIES), 0)
    return ScheduledPage(
        messages=[
            _message(payload, member="", due=now + settings.lease_seconds - idle, level=b"0").model_copy(
                update={"attempts": attempts}
            )
            for (_, _, idle, attempts), payload in zip(entries, payloads, strict=True)
        ],
        total=total,
    )


def members(link: Link, queue: str, names: Sequence[str]) -> list[bytes]:
    """Those of the scheduled messages that are still there, in full."""
    found = []
    for name in names:
        score, _, _ = name.partition("-")
        if score.isdecimal():
            reply = bytes_of(link.call("ZRANGE", keys.scheduled(queue), score, score, "BYSCORE", "LIMIT", 0, 10_000))
            found += [member for member in reply if _name(member, score.encode()) == name]
    return found


def flights(link: Link, settings: Settings, pattern: str, offset: int, limit: int) -> FlightPage:
    return (_claims if pattern == "reliable" else _entries)(link, settings, offset, limit)


def _claims(link: Link, settings: Settings, offset: int, limit: int) -> FlightPage:
    key = keys.leases(settings.reliable_queue)
    found = pairs(link.call("ZRANGE", key, offset, offset + limit - 1, "WITHSCORES"))
    replies = link.pipeline([command for name, _ in found for command in (("LLEN", name), ("LINDEX", name, 0))])
    return FlightPage(
        flights=[
            Flight(
                id=name.decode(errors="replace"),
                consumer=name.decode(errors="replace").rpartition(":claim:")[2].rpartition(":")[0],
                messages=number(length) or 0,
                until=float(until) / 1000,
                idle=None,
                attempts=None,
                payload=_shown(first, whole=False)[0] if isinstance(first, bytes) else "",
            )
            for (name, until), length, first in zip(found, replies[::2], replies[1::2], strict=True)
        ],
        total=number(link.call("ZCARD", key)) or 0,
    )


def _entries(link: Link, settings: Settings, offset: int, limit: int) -> FlightPage:
    if not _group_exists(link, settings):
        return FlightPage(flights=[], total=0)
    holders = _holders(link.call("XPENDING", settings.stream, settings.consumer_group))
    at_work = [(name, int(count)) for name, count in holders if name != _RETRIES][:_MOST_CONSUMERS]
    entries = [entry for name, _ in at_work for entry in _pending(link, settings, name, offset + limit)]
    entries = sorted(entries)[offset : offset + limit]
    payloads = _payloads(link, settings.stream, [entry for entry, *_ in entries])
    return FlightPage(
        flights=[
            Flight(
                id=entry,
                consumer=consumer,
                messages=1,
                until=None,
                idle=idle,
                attempts=attempts,
                payload=_shown(payload, whole=False)[0],
            )
            for (entry, consumer, idle, attempts), payload in zip(entries, payloads, strict=True)
        ],
        total=sum(count for _, count in at_work),
    )


def _group_exists(link: Link, settings: Settings) -> bool:
    (groups,) = link.pipeline([("XINFO", "GROUPS", settings.stream)])
    return isinstance(groups, list) and any(
        isinstance(group, list) and settings.consumer_group.encode() in group for group in groups
    )


def _holders(summary: Reply) -> list[tuple[str, bytes]]:
    match summary:
        case [_, _, _, list(holders)]:
            return [(name.decode(errors="replace"), count) for holder in holders for name, count in pairs(holder)]
    return []


def _pending(link: Link, settings: Settings, consumer: str, most: int) -> list[tuple[str, str, float, int]]:
    """(entry, consumer, seconds idle, times handed out) of one consumer."""
    (reply,) = link.pipeline([("XPENDING", settings.stream, settings.consumer_group, "-", "+", most, consumer)])
    found = []
    for entry in reply if isinstance(reply, list) else []:
        match entry:
            case [bytes(entry_id), bytes(holder), int(idle), int(times)]:
                found.append((entry_id.decode(), holder.decode(errors="replace"), idle / 1000, times))
    return found


def _payloads(link: Link, stream: str, ids: Sequence[str]) -> list[bytes]:
    replies = link.pipeline([("XRANGE", stream, entry, entry) for entry in ids]) if ids else []
    return [dict(pairs(reply[0][1])).get(b"message", b"") if _is_entry(reply) else b"" for reply in replies]  # type: ignore[index]


def _is_entry(reply: Reply) -> bool:
    match reply:
        case [[_, _], *_]:
            return True
    return False


def _now(link: Link) -> float:
    match link.call("TIME"):
        case [bytes(seconds), _]:
            return float(seconds)
    return 0.0


def _message(payload: bytes, *, member: str, due: float, level: bytes) -> ScheduledMessage:
    shown, truncated = _shown(payload, whole=False)
    fields = parsed(payload)
    return ScheduledMessage(
        member=member,
        due=due,
        priority=int(level) if level.isdigit() else 0,
        attempts=None,
        message_id=_text(fields.get("id")),
        sender=_text(fields.get("sender")),
        payload=shown,
        size=len(payload),
        truncated=truncated,
    )


def _name(member: bytes, score: bytes) -> str:
    """Short, and found again by its score."""
    return f"{float(score):.0f}-{hashlib.sha256(member).hexdigest()[:24]}"


def _shown(payload: bytes, *, whole: bool) -> tuple[str, bool]:
    text = payload.decode("utf-8", "backslashreplace")
    return (text, False) if whole or len(text) <= _EXCERPT else (text[:_EXCERPT], True)


def _text(value: object) -> str:
    return value[:_EXCERPT] if isinstance(value, str) else ""
