"""What a publisher is told about what it has sent."""

from dataclasses import dataclass

__all__ = ["Receipt"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What Redis answered to one sequence of messages on one pattern."""

    pattern: str
    sent: int
    said: str
    """The answer in words, for the log."""
    unheard: int = 0
    """How many of them nobody received (pub/sub only)."""
    warning: str = ""
    """What an operator should look at, if anything."""
