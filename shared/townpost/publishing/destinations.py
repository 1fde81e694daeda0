"""The destinations of messages: patterns, and the channel, queue or stream of each."""

import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar

from townpost.errors import SettingError
from townpost.patterns import PATTERNS, choose
from townpost.patterns.contract import Due, Pattern, Sender
from townpost.settings import Settings
from townpost.text import printable

__all__ = ["Destination", "Destinations", "checked_pattern", "narrowed"]

K = TypeVar("K")
V = TypeVar("V")

_MOST = 1_000
"""How many destinations are cached: a program may use a new name for each send."""


def checked_pattern(pattern: str | None) -> str | None:
    """The same: what is wrong in code is found before the environment is read.

    Raises:
        SettingError
    """
    if pattern is not None:
        try:
            choose(pattern)
        except ValueError as error:
            raise SettingError(printable(f"PATTERN cannot be used: {error}")) from None
    return pattern


def narrowed(settings: Settings, pattern: str | None) -> Settings:
    """These settings with that PATTERN, if one is given."""
    return settings if pattern is None else settings.model_copy(update={"pattern": pattern})


class Destination:
    """Some patterns of one publisher, with the sender of each."""

    def __init__(self, settings: Settings, senders: Sequence[tuple[Pattern, Sender]], place: str) -> None:
        """``place`` distinguishes it from others when messages are numbered."""
        self.settings = settings
        self.names = tuple(pattern.name for pattern, _ in senders)
        self.senders = tuple(sender for _, sender in senders)
        self.only = self.senders[0] if len(senders) == 1 else None
        """Its sender, where there is one pattern."""
        self.durable = any(pattern.guarantees.durable for pattern, _ in senders)
        self.sources = {pattern.name: settings.name_of(pattern) for pattern, _ in senders}
        """By pattern: the channel, queue or stream."""
        self.place = place
        self.route = settings.route

    def due(self, delay: float | None, at: datetime | None) -> Due:
        """Raises SettingError: not every pattern schedules, or no calendar has that moment."""
        if not all(PATTERNS[name].guarantees.schedules for name in self.names):
            raise SettingError(f"PATTERN={','.join(self.names)} cannot delay a message: use reliable")
        return Due(delay, at)


class Destinations:
    """The destinations of one publisher, each made once. Any thread may use it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._patterns = {pattern.name: pattern for pattern in settings.patterns}
        self._senders: dict[tuple[str, str | None], Sender] = {}
        self._made: dict[tuple[tuple[str, ...], str | None], Destination] = {}
        self._making = threading.Lock()
        self._default = self._find(tuple(self._patterns), None)

    @property
    def several(self) -> bool:
        """Whether messages go to more than one pattern, which takes a MULTI."""
        return len(self._patterns) > 1

    def find(self, on: Collection[str] | None, to: str | None) -> Destination:
        """Of all patterns, or those named; where the settings say, or under another name.

        Raises:
            SettingError: a pattern this publisher does not have, or a name that cannot be used.
        """
        if on is None and to is None:
            return self._default
        names = self._chosen(on)
        if to is not None and all(self._settings.name_of(self._patterns[name]) == to for name in names):
            to = None if self._settings.route is None else to  # so that each queue has one, and one order
        return self._find(names, to)

    def _find(self, names: tuple[str, ...], to: str | None) -> Destination:
        with self._making:
            found = self._made.get((names, to))
            if found is None:
                found = self._made[names, to] = self._make(names, to)
                _shorten(self._made)
            return found

    def _make(self, names: tuple[str, ...], to: str | None) -> Destination:
        patterns = [self._patterns[name] for name in names]
        settings, place = self._settings, ",".join(names)
        if to is not None:
            settings, place = settings.sent_to(to, patterns), f"{place} to {to}"
        return Destination(settings, [(pattern, self._sender(pattern, settings, to)) for pattern in patterns], place)

    def _sender(self, pattern: Pattern, settings: Settings, to: str | None) -> Sender:
        found = self._senders.get((pattern.name, to))
        if found is None:
            found = self._senders[pattern.name, to] = pattern.sender(settings)
            _shorten(self._senders)
        return found

    def _chosen(self, on: Collection[str] | None) -> tuple[str, ...]:
        if on is None:
            return tuple(self._patterns)
        if isinstance(on, str) or not on or not self._patterns.keys() >= set(on):
            choices = ", ".join(self._patterns)
            raise SettingError(f"on={on!r} is not a list of this publisher's patterns: choose from {choices}")
        return tuple(name for name in self._patterns if name in on)


def _shorten(made: dict[K, V]) -> None:
    while len(made) > _MOST:
        del made[next(iter(made))]
