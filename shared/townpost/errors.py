"""Every error Townpost raises on purpose, so that a caller can catch what it means to handle.

TownpostError
├── SettingError          a setting cannot be used; the text names it and the remedy
├── UnreadableError       bytes that are not a message
├── UnsendableError       a message that no reader would take: too long, or not UTF-8
├── UnavailableError      Redis did not answer, or is not ready: try again later
│   └── GaveUpError       Redis did not answer for CONNECT_TIMEOUT seconds after the start
└── RefusedError          Redis answered, and the answer is no: trying again alone will not help
    ├── PasswordError     wrong user name or password, or none where one is needed
    ├── PermissionDeniedError  the ACL of this user forbids the command, key or channel
    ├── WrongTypeError    the key holds another type than the pattern needs
    ├── HalfSentError     some patterns took the messages, others refused them
    └── FullError         maxmemory is reached: writes are refused, reading and draining work

The text of an error is one line and is fit to be shown to a user as it is.
"""

from collections.abc import Sequence
from typing import Any

from townpost.receipts import Receipt

__all__ = [
    "FullError",
    "GaveUpError",
    "HalfSentError",
    "PasswordError",
    "PermissionDeniedError",
    "RefusedError",
    "SettingError",
    "TownpostError",
    "UnavailableError",
    "UnreadableError",
    "UnsendableError",
    "WrongTypeError",
]


class TownpostError(Exception):
    """The root: `except TownpostError` catches all of them and nothing else."""


class SettingError(TownpostError):
    pass


class UnreadableError(TownpostError):
    pass


class UnsendableError(TownpostError):
    pass


class UnavailableError(TownpostError):
    messages: Sequence[Any] = ()  # of `Message`, whose module needs these errors
    """What a `send` could not get acknowledged. Sent again as they are, they keep their ids and numbers."""


class GaveUpError(UnavailableError):
    pass


class RefusedError(TownpostError):
    pass


class PasswordError(RefusedError):
    pass


class PermissionDeniedError(RefusedError):
    pass


class WrongTypeError(RefusedError):
    pass


class FullError(RefusedError):
    room: int = 0
    """How many messages would have been taken, where that is known (RELIABLE_LIMIT)."""


class HalfSentError(RefusedError):
    """Says which half is which, so that the other can be sent alone."""

    def __init__(self, receipts: list[Receipt], refused: dict[str, RefusedError]) -> None:
        self.receipts = receipts
        self.missing = tuple(refused)
        sent = ", ".join(receipt.pattern for receipt in receipts)
        why = "; ".join(f"not on {name}: {error}" for name, error in refused.items())
        super().__init__(f"sent on {sent}, {why}")
