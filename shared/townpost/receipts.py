"""The receipt that a publisher gets for what it has sent."""

from dataclasses import dataclass

__all__ = ["Receipt"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer of Redis to one sequence of messages on one pattern."""

    pattern: str
    sent: int
    said: str
    """The answer in words, for the log."""
    unheard: int = 0
    """How many of them had no receiver (pub/sub only)."""
    warning: str = ""
    """A warning for an operator, or empty."""
