"""What lies in the embedded server, as messages."""

from dataclasses import dataclass
from datetime import datetime

from townpost.errors import SettingError, UnreadableError
from townpost.message import Message, read
from townpost.patterns import PATTERNS
from townpost.patterns.dead_letters import DeadLetters
from townpost.patterns.inspectors import inspector
from townpost.patterns.reliable.inspect import scheduled as find_scheduled
from townpost.redis.connection import Connection

__all__ = ["DeadLetter", "Scheduled", "dead", "scheduled", "sent"]

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is not tried again."""

    message: Message | None
    """None where the payload cannot be read as one."""
    reason: str
    """failed, crashed, rejected or unreadable."""
    error: str
    attempts: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A delayed message, or one that waits for its next attempt."""

    message: Message
    due: datetime


def sent(connection: Connection, name: str, pattern: str) -> list[Message]:
    """What waits in a queue, or everything in a stream, in order.

    Raises:
        SettingError: the pattern keeps nothing.
        UnreadableError: something that is not a message lies there.
    """
    if pattern not in PATTERNS or not PATTERNS[pattern].guarantees.durable:
        raise SettingError(f"pattern={pattern!r} keeps nothing that could be listed: choose queue, reliable or stream")
    kept = inspector(pattern, name, group="", lease_seconds=0).payloads(connection)
    return [read(payload) for payload in kept]


def dead(connection: Connection, name: str) -> list[DeadLetter]:
    """Of a reliable queue or a stream, oldest first."""
    dead_letters = DeadLetters(connection, PATTERNS["reliable"], name).each()
    return [
        DeadLetter(
            _message(dead_letter.payload),
            dead_letter.reason,
            dead_letter.error,
            dead_letter.attempts,
            dead_letter.payload,
        )
        for dead_letter in dead_letters
    ]


def scheduled(connection: Connection, name: str) -> list[Scheduled]:
    """Of a reliable queue, soonest first."""
    found = find_scheduled(connection, name, _MOST)
    return [Scheduled(read(payload), due) for due, payload in found.rows]


def _message(payload: bytes) -> Message | None:
    try:
        return read(payload)
    except UnreadableError:
        return None
