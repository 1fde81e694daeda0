"""What a handler may raise to say what becomes of its message, and the policy for everything else it raises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from townpost.errors import SettingError

__all__ = ["Policy", "Reject", "Retry"]

_YEAR_SECONDS = 366 * 24 * 3600


class Retry(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by a handler: not now. It counts as an attempt, as every failure does."""

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        """Say when.

        Args:
            reason: for the log, and for the dead letter that the last attempt makes of the message.
            after: seconds; None leaves it to the back-off.

        Raises:
            ValueError: ``after`` is negative, or longer than a year.
        """
        if after is not None and not 0 <= after <= _YEAR_SECONDS:
            raise ValueError(f"after={after} is not a number of seconds from 0 to a year")
        super().__init__(reason)
        self.after = after


class Reject(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by a handler: never. The message becomes a dead letter at once, with this reason."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of a message whose handler failed; times in seconds."""

    attempts: int
    """After so many failures it is dead."""
    backoff: float
    """Before the second attempt, doubling from then on, with full jitter."""
    cap: float
    """No pause is longer."""
    delays: tuple[float, ...] = ()
    """Instead of the back-off: the pause before each further attempt, without jitter; the last one repeats."""

    def changed(self, attempts: int | None, backoff: float | Sequence[float] | None) -> Self:
        """The same with what a handler was registered with.

        Raises:
            SettingError: a number that is none.
        """
        most, delays = self.attempts, self.delays
        if attempts is not None:
            if attempts < 1:
                raise SettingError(f"attempts={attempts}: a message is tried once at least")
            most = attempts
        if backoff is None:
            return type(self)(most, self.backoff, self.cap, delays)
        pauses = (backoff,) if isinstance(backoff, int | float) else tuple(backoff)
        if not pauses or not all(0 <= pause <= _YEAR_SECONDS for pause in pauses):
            raise SettingError(f"backoff={backoff!r} is neither a number of seconds nor a list of them")
        if isinstance(backoff, int | float):
            return type(self)(most, float(backoff), max(self.cap, float(backoff)), ())
        return type(self)(most, self.backoff, self.cap, pauses)
