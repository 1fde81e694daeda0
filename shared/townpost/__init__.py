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
    from townpost.patterns.dead_letters import DeadLetter, DeadLetters
    from townpost.patterns.inspection import Depth, Excerpt, InFlight, Inspector, Query, Question, Scheduled, ask
    from townpost.patterns.inspectors import inspector
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
    "App",
    "AsyncPublisher",
    "Batch",
    "Command",
    "Connection",
    "Consumer",
    "Counts",
    "DeadLetter",
    "DeadLetters",
    "Delivery",
    "Depth",
    "Excerpt",
    "FullError",
    "GaveUpError",
    "Guarantees",
    "HalfSentError",
    "InFlight",
    "Inspector",
    "Latency",
    "Listening",
    "Message",
    "PasswordError",
    "Pattern",
    "PermissionDeniedError",
    "Policy",
    "Prefetch",
    "Publisher",
    "Query",
    "Question",
    "Receipt",
    "Reconnector",
    "RefusedError",
    "Reject",
    "Reply",
    "Retry",
    "Route",
    "Scheduled",
    "Service",
    "SettingError",
    "Settings",
    "TownpostError",
    "UnavailableError",
    "UnreadableError",
    "UnsendableError",
    "WrongTypeError",
    "ask",
    "check_health",
    "choose_patterns",
    "endpoint",
    "excerpt",
    "has_hash_tag",
    "import_handler",
    "inspector",
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
    "DeadLetter": "patterns.dead_letters",
    "DeadLetters": "patterns.dead_letters",
    "Delivery": "patterns.contract",
    "Depth": "patterns.inspection",
    "Excerpt": "patterns.inspection",
    "Guarantees": "patterns.contract",
    "InFlight": "patterns.inspection",
    "Inspector": "patterns.inspection",
    "Latency": "counts",
    "Listening": "consuming.listening",
    "Message": "message",
    "PATTERNS": "patterns",
    "Pattern": "patterns.contract",
    "Policy": "verdicts",
    "Prefetch": "prefetch",
    "Publisher": "publishing.publisher",
    "Query": "patterns.inspection",
    "Question": "patterns.inspection",
    "Receipt": "receipts",
    "Reconnector": "redis.reconnector",
    "Reject": "verdicts",
    "Reply": "redis.connection",
    "Retry": "verdicts",
    "Route": "consuming.routes",
    "Scheduled": "patterns.inspection",
    "Service": "service",
    "Settings": "settings",
    "ask": "patterns.inspection",
    "check_health": "health:check",
    "choose_patterns": "patterns:choose",
    "endpoint": "redis.connection",
    "excerpt": "text",
    "has_hash_tag": "keys:has_tag",
    "import_handler": "consuming.handlers",
    "inspector": "patterns.inspectors",
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
