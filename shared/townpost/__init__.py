"""Messages through Redis: pub/sub channels, lists, an at-least-once queue and streams, with one message schema.

Every public name is here, and each is imported when it is first used: a program that only publishes pays for no more.
docs/library.md says what each is for.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townpost.consuming.app import App
    from townpost.consuming.consumer import Consumer
    from townpost.consuming.handlers import import_handler
    from townpost.consuming.handlers import load as load_handler
    from townpost.consuming.listening import Listening, listen
    from townpost.consuming.processes import supervise
    from townpost.consuming.routes import Route
    from townpost.counts import Counts, Latency
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
    from townpost.health import check as check_health
    from townpost.keys import has_tag as has_hash_tag
    from townpost.message import Message
    from townpost.message import read as read_message
    from townpost.message import validate_json as validate_message
    from townpost.patterns import PATTERNS
    from townpost.patterns import choose as choose_patterns
    from townpost.patterns.contract import Batch, Delivery, Guarantees, Pattern
    from townpost.patterns.letters import STAMP as STAMP_LENGTH
    from townpost.patterns.letters import DeadLetters
    from townpost.prefetch import Prefetch
    from townpost.publishing.async_publisher import AsyncPublisher
    from townpost.publishing.publisher import Publisher
    from townpost.receipts import Receipt
    from townpost.redis.connection import Command, Connection, Reply, endpoint
    from townpost.redis.reconnector import Reconnector
    from townpost.service import Service
    from townpost.settings import Settings
    from townpost.text import excerpt, printable
    from townpost.verdicts import Policy, Reject, Retry

__all__ = [
    "PATTERNS",
    "STAMP_LENGTH",
    "App",
    "AsyncPublisher",
    "Batch",
    "Command",
    "Connection",
    "Consumer",
    "Counts",
    "DeadLetters",
    "Delivery",
    "FullError",
    "GaveUpError",
    "Guarantees",
    "HalfSentError",
    "Latency",
    "Listening",
    "Message",
    "PasswordError",
    "Pattern",
    "PermissionDeniedError",
    "Policy",
    "Prefetch",
    "Publisher",
    "Receipt",
    "Reconnector",
    "RefusedError",
    "Reject",
    "Reply",
    "Retry",
    "Route",
    "Service",
    "SettingError",
    "Settings",
    "TownpostError",
    "UnavailableError",
    "UnreadableError",
    "UnsendableError",
    "WrongTypeError",
    "check_health",
    "choose_patterns",
    "endpoint",
    "excerpt",
    "has_hash_tag",
    "import_handler",
    "listen",
    "load_handler",
    "printable",
    "read_message",
    "supervise",
    "validate_message",
]

_PLACES = {
    "App": "consuming.app",
    "AsyncPublisher": "publishing.async_publisher",
    "Batch": "patterns.contract",
    "Command": "patterns.contract",
    "Connection": "redis.connection",
    "Consumer": "consuming.consumer",
    "Counts": "counts",
    "DeadLetters": "patterns.letters",
    "Delivery": "patterns.contract",
    "Guarantees": "patterns.contract",
    "Latency": "counts",
    "Listening": "consuming.listening",
    "Message": "message",
    "PATTERNS": "patterns",
    "Pattern": "patterns.contract",
    "Policy": "verdicts",
    "Prefetch": "prefetch",
    "Publisher": "publishing.publisher",
    "Receipt": "receipts",
    "Reconnector": "redis.reconnector",
    "Reject": "verdicts",
    "Reply": "redis.connection",
    "Retry": "verdicts",
    "Route": "consuming.routes",
    "STAMP_LENGTH": "patterns.letters:STAMP",
    "Service": "service",
    "Settings": "settings",
    "check_health": "health:check",
    "choose_patterns": "patterns:choose",
    "endpoint": "redis.connection",
    "excerpt": "text",
    "has_hash_tag": "keys:has_tag",
    "import_handler": "consuming.handlers",
    "listen": "consuming.listening",
    "load_handler": "consuming.handlers:load",
    "printable": "text",
    "read_message": "message:read",
    "supervise": "consuming.processes",
    "validate_message": "message:validate_json",
}
"""Where each of them is, and by what name if that is another; the rest are errors."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, own_name = _PLACES.get(name, "errors").partition(":")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), own_name or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
