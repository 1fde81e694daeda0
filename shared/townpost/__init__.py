"""Messages through Redis: pub/sub channels, lists, an at-least-once queue and streams, with one message schema.

Every public name is here, and each is imported when it is first used: a program that only publishes pays for no more.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townpost.consuming.app import App
    from townpost.consuming.listening import listen
    from townpost.errors import (
        FullError,
        GaveUpError,
        HalfSentError,
        PasswordError,
        PermissionDeniedError,
        RefusedError,
        SettingError,
        TownpostError,
        UnavailableError,
        UnreadableError,
        UnsendableError,
        WrongTypeError,
    )
    from townpost.message import Message
    from townpost.patterns.contract import Delivery, Receipt
    from townpost.publishing.async_publisher import AsyncPublisher
    from townpost.publishing.publisher import Publisher
    from townpost.settings import Settings
    from townpost.verdicts import Reject, Retry

__all__ = [
    "App",
    "AsyncPublisher",
    "Delivery",
    "FullError",
    "GaveUpError",
    "HalfSentError",
    "Message",
    "PasswordError",
    "PermissionDeniedError",
    "Publisher",
    "Receipt",
    "RefusedError",
    "Reject",
    "Retry",
    "SettingError",
    "Settings",
    "TownpostError",
    "UnavailableError",
    "UnreadableError",
    "UnsendableError",
    "WrongTypeError",
    "listen",
]

_PLACES = {
    "App": "consuming.app",
    "AsyncPublisher": "publishing.async_publisher",
    "Delivery": "patterns.contract",
    "Message": "message",
    "Publisher": "publishing.publisher",
    "Receipt": "patterns.contract",
    "Reject": "verdicts",
    "Retry": "verdicts",
    "Settings": "settings",
    "listen": "consuming.listening",
}
"""Where each of them is; the rest are errors."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PLACES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
