"""One path of messages: a pattern, the name of its channel, list or stream, and on a stream a consumer group.

Everything the dashboard counts is counted by path: two queues of one pattern, and two groups of one stream, have
nothing in common but their pattern.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from townpost import PATTERNS, Settings, has_hash_tag

__all__ = ["SENDING", "Counters", "Path", "known_as", "own_path", "share"]

Counters: TypeAlias = Counter[str]

SENDING = ("sent", "unheard")
"""What a sender counts: of the stream, whatever the group."""

_LONGEST = 500


class Path(NamedTuple):
    """Without a group it is a place: senders know no groups."""

    pattern: str
    name: str
    group: str = ""

    @property
    def id(self) -> str:
        """Fit for an attribute, and no two have the same."""
        return ":".join(quote(part, safe="") for part in self if part)

    @property
    def place(self) -> "Path":
        return Path(self.pattern, self.name)


def own_path(settings: Settings, pattern: str) -> Path:
    """The path of a service with these settings."""
    groups = PATTERNS[pattern].guarantees.groups
    return Path(pattern, settings.name_of(PATTERNS[pattern]), settings.consumer_group if groups else "")


def known_as(pattern: str, name: object) -> bool:
    """Whether this can be the name of a channel or key of the pattern, as the settings would have it."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    braces = "{" in name or "}" in name
    return has_hash_tag(name) or not braces or not PATTERNS[pattern].guarantees.redelivers


def share(counts: Mapping[Path, Counters], path: Path) -> Counters:
    """The part of these counts that belongs to a path: those of its group, and what was sent for any."""
    found: Counters = Counter()
    for other, counters in counts.items():
        if other.place == path.place:
            found.update(counters if other.group == path.group else {name: counters[name] for name in SENDING})
    return found
