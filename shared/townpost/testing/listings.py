"""What lies in the embedded server, as messages."""

from dataclasses import dataclass
from datetime import datetime

from townpost import keys
from townpost.errors import SettingError, UnreadableError
from townpost.message import Message, read
from townpost.patterns import PATTERNS
from townpost.patterns.letters import STAMP, DeadLetters
from townpost.patterns.letters import scheduled as find_scheduled
from townpost.patterns.stream.entries import parse
from townpost.redis.connection import Connection, Reply

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
    if pattern == "stream":
        return [read(payload) for payload in parse(connection.call("XRANGE", name, "-", "+")).payloads]
    if pattern not in PATTERNS or not PATTERNS[pattern].guarantees.durable:
        raise SettingError(f"pattern={pattern!r} keeps nothing that could be listed: choose queue, reliable or stream")
    urgent = connection.call("ZRANGE", keys.of(name).priority, 0, -1) if pattern == "reliable" else []
    plain = connection.call("LRANGE", name, 0, -1)
    return [*(read(member[STAMP:]) for member in _bytes(urgent)), *(read(payload) for payload in _bytes(plain))]


def dead(connection: Connection, name: str) -> list[DeadLetter]:
    """Of a reliable queue or a stream, oldest first."""
    letters = DeadLetters(connection, PATTERNS["reliable"], name).each()
    return [
        DeadLetter(_message(letter.payload), letter.reason, letter.error, letter.attempts, letter.payload)
        for letter in letters
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


def _bytes(reply: Reply) -> list[bytes]:
    return [one for one in reply if isinstance(one, bytes)] if isinstance(reply, list) else []
