"""What became of a message that a test delivered."""

from dataclasses import dataclass

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What Townpost would do with the message now: one of `handled`, `retry_after`, `dead` and `lost` says so."""

    handled: bool = False
    """It would be acknowledged."""
    duplicate: bool = False
    """It was handled before, and `once=` remembers that: the handler was not called."""
    retry_after: float | None = None
    """Seconds before the next attempt: exact for a list of pauses and `Retry(after=)`; else the most there can be."""
    dead: str | None = None
    """It would be a dead letter, for this reason: failed, rejected or unreadable."""
    error: Exception | None = None
    """What the handler raised, or why it could not be called."""
    attempt: int = 1

    @property
    def lost(self) -> bool:
        """It failed on a pattern that hands out each message once."""
        return not self.handled and self.retry_after is None and self.dead is None
