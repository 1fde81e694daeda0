"""Every error Townpost raises on purpose, so that a caller can catch what it means to handle.

TownpostError
├── SettingError          a setting cannot be used; the text names it and the remedy
├── UnreadableError       bytes that are not a message
├── UnavailableError      Redis did not answer, or is not ready: try again later
│   └── GaveUpError       Redis did not answer for CONNECT_TIMEOUT seconds after the start
└── RefusedError          Redis answered, and the answer is no: trying again alone will not help
    ├── PasswordError     wrong user name or password, or none where one is needed
    ├── PermissionDeniedError  the ACL of this user forbids the command, key or channel
    ├── WrongTypeError    the key holds another type than the pattern needs
    └── FullError         maxmemory is reached: writes are refused, reading and draining work

The text of an error is one line and is fit to be shown to a user as it is.
"""

__all__ = [
    "FullError",
    "GaveUpError",
    "PasswordError",
    "PermissionDeniedError",
    "RefusedError",
    "SettingError",
    "TownpostError",
    "UnavailableError",
    "UnreadableError",
    "WrongTypeError",
]


class TownpostError(Exception):
    """The root: `except TownpostError` catches all of them and nothing else."""


class SettingError(TownpostError):
    pass


class UnreadableError(TownpostError):
    pass


class UnavailableError(TownpostError):
    pass


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
    pass
