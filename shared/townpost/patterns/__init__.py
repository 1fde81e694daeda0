"""The registry: every way two services can exchange messages, and the words PATTERN takes."""

from townpost.patterns.contract import Pattern
from townpost.patterns.pubsub import PUBSUB
from townpost.patterns.queue import QUEUE
from townpost.patterns.reliable import RELIABLE
from townpost.patterns.stream import STREAM

__all__ = ["GROUPS", "PATTERNS", "choose"]

PATTERNS: dict[str, Pattern] = {pattern.name: pattern for pattern in (PUBSUB, QUEUE, RELIABLE, STREAM)}

GROUPS: dict[str, tuple[str, ...]] = {"both": ("pubsub", "queue"), "all": tuple(PATTERNS)}


def choose(words: str) -> tuple[Pattern, ...]:
    """The patterns that a PATTERN value names, each once, in the order of the registry.

    Raises:
        ValueError: a word is unknown; the text names the choices.
    """
    names: set[str] = set()
    for word in (part.strip().lower() for part in words.split(",")):
        if word not in PATTERNS and word not in GROUPS:
            choices = ", ".join((*PATTERNS, *GROUPS))
            raise ValueError(f"'{word}' is not a pattern: choose {choices}, or several separated by commas")
        names.update(GROUPS.get(word, (word,)))
    return tuple(pattern for name, pattern in PATTERNS.items() if name in names)
