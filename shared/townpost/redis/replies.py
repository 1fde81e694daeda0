"""Plain Python out of what Redis answers. Other clients write under our keys, so each value is checked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import hiredis

from townpost.redis.connection import Reply, refusal

__all__ = ["bytes_of", "checked", "count_of", "fields", "moment", "number", "pairs"]

_MOST_DIGITS = 18
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(reply: Reply) -> int | None:
    """None for a refusal as well: an ACL may forbid a command."""
    return reply if isinstance(reply, int) else None


def checked(replies: Sequence[Reply]) -> list[int]:
    """The numbers.

    Raises:
        RefusedError: Redis refused one of the commands.
    """
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise refusal(str(reply))
    return [reply for reply in replies if isinstance(reply, int)]


def bytes_of(reply: Reply) -> list[bytes]:
    return [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []


def pairs(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Of a flat list: name, value, name, value."""
    flat = bytes_of(reply)
    return list(zip(flat[::2], flat[1::2], strict=False))


def fields(reply: Reply) -> dict[str, Reply]:
    """Of a flat list whose values may be anything."""
    flat = reply if isinstance(reply, list) else []
    return {
        name.decode(errors="replace"): value
        for name, value in zip(flat[::2], flat[1::2], strict=False)
        if isinstance(name, bytes)
    }


def count_of(text: str) -> int:
    """Digits as a number; 0 for what is none, or too long to be one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def moment(milliseconds: float) -> datetime:
    """The nearest that a datetime can be: a score may be infinite, and an entry from the year 584 million."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if milliseconds > 0 else datetime.min.replace(tzinfo=UTC)
