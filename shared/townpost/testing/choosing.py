"""Which handlers of an app a test means."""

import fnmatch
from collections.abc import Callable, Sequence
from typing import TypeAlias

from townpost.consuming.app import App
from townpost.consuming.subscriptions import Subscription
from townpost.errors import TownpostError
from townpost.patterns import PATTERNS

__all__ = ["QUEUE", "Target", "UndeliverableError", "app_of", "choose"]

Target: TypeAlias = App | Callable[..., object]

QUEUE = "testing"
"""Of a handler that comes without an app, where the test names no queue."""


class UndeliverableError(TownpostError):
    """The test delivers to a queue, or with a type, that no handler takes."""


def app_of(target: Target, queue: str | None, pattern: str) -> App:
    """The app itself, or one with this handler and the settings of the environment."""
    if isinstance(target, App):
        return target
    if not callable(target):
        raise TypeError(f"{target!r} is neither an App nor a handler")
    app = App()
    app.handler(queue or QUEUE, pattern=pattern)(target)
    return app


def choose(
    subscriptions: Sequence[Subscription], queue: str | None, pattern: str, group: str | None = None
) -> Subscription:
    """The one that takes from there.

    Raises:
        UndeliverableError: none does, or several do.
    """
    found = [one for one in subscriptions if one.pattern == pattern and _takes(one, queue, group)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(_described(one) for one in subscriptions)
    if found:
        missing = "queue=" if len({one.name for one in found}) > 1 else "group="
        raise UndeliverableError(f"{len(found)} subscriptions take this message, say {missing}: the app has {known}")
    where = f"'{queue}'" if queue is not None else "any queue"
    raise UndeliverableError(f"no handler takes from {where} with pattern={pattern!r}: the app has {known}")


def _takes(subscription: Subscription, queue: str | None, group: str | None) -> bool:
    if group is not None and subscription.settings.consumer_group != group:
        return False
    if queue is None or subscription.name == queue:
        return True
    return not PATTERNS[subscription.pattern].guarantees.durable and fnmatch.fnmatchcase(queue, subscription.name)


def _described(subscription: Subscription) -> str:
    group = (
        f", group '{subscription.settings.consumer_group}'" if PATTERNS[subscription.pattern].guarantees.groups else ""
    )
    return f"'{subscription.name}' ({subscription.pattern}{group})"
