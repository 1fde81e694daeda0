"""Dead letters, scheduled messages and messages in flight as a page shows them: cut to excerpts that JSON can carry."""

from pydantic import JsonValue

from townpost import DeadLetter, Excerpt, InFlight, Scheduled

from .feed import parsed
from .schemas import requests

__all__ = ["dead_letter", "in_flight", "scheduled"]

_EXCERPT = 200
_MOST_ERROR = 2048
_MOST_SECONDS = 1e12


def dead_letter(found: DeadLetter, most: int = _EXCERPT) -> requests.DeadLetter:
    """With as many characters of its payload."""
    shown, truncated = _shown(Excerpt(found.payload, found.size), most)
    fields = parsed(found.payload)
    history: list[dict[str, JsonValue]] = [
        {name: value for name, value in death.items() if value is None or isinstance(value, str | int | float)}
        for death in found.history
    ]
    return requests.DeadLetter(
        id=found.id,
        at=found.at.timestamp(),
        reason=found.reason[:_EXCERPT],
        error=found.error[:_MOST_ERROR],
        attempts=found.attempts,
        crashes=found.crashes,
        by=found.by[:_EXCERPT],
        message_id=_text(fields.get("id")),
        sender=_text(fields.get("sender")),
        payload=shown,
        size=found.size,
        truncated=truncated,
        history=history,
    )


def scheduled(message: Scheduled) -> requests.ScheduledMessage:
    shown, truncated = _shown(message.payload)
    fields = parsed(message.payload.beginning)
    return requests.ScheduledMessage(
        member=message.member,
        due=max(-_MOST_SECONDS, min(message.due, _MOST_SECONDS)),
        priority=message.level,
        attempts=message.attempts,
        message_id=_text(fields.get("id")),
        sender=_text(fields.get("sender")),
        payload=shown,
        size=message.payload.size,
        truncated=truncated,
    )


def in_flight(message: InFlight) -> requests.InFlight:
    until = message.until
    return requests.InFlight(
        id=message.id,
        consumer=message.consumer,
        messages=message.messages,
        until=until if until is not None and abs(until) < _MOST_SECONDS else None,
        idle=message.idle,
        attempts=message.attempts,
        payload=_shown(message.payload)[0],
    )


def _shown(payload: Excerpt, most: int = _EXCERPT) -> tuple[str, bool]:
    text = payload.beginning.decode("utf-8", "backslashreplace")
    cut = payload.size > len(payload.beginning) or len(text) > most
    return (text[:most], True) if cut else (text, False)


def _text(value: object) -> str:
    return value[:_EXCERPT].encode(errors="replace").decode() if isinstance(value, str) else ""
