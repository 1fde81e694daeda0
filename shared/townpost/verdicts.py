"""The exceptions by which a handler decides about its message, the policy for all other exceptions, and the
decision that follows from both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from townpost.errors import SettingError, UnreadableError
from townpost.text import printable, told

__all__ = ["CrashedError", "Decision", "Policy", "Reject", "Retry", "decide", "describe", "exact_pauses", "reason"]

_YEAR_SECONDS = 366 * 24 * 3600
_MOST_DOUBLINGS = 30
_ERROR_CHARACTERS = 1_000


class Retry(Exception):  # noqa: N818 - a verdict, not an error
    """A handler raises it to try the message later. It counts as an attempt, as every failure does."""

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
    """A handler raises it to reject the message, which becomes a dead letter at once, with this reason."""


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


class CrashedError(Exception):
    """The consumers of this message died, again and again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a message whose handler failed."""

    dead: str | None
    """The reason, in one word; None for another attempt."""
    pause: float = 0.0
    """Seconds before that attempt: of a back-off the upper bound."""
    jitter: bool = False
    """The pause is any fraction of that."""


def reason(error: Exception) -> str:
    """Why a message died, in one word: what the command line selects by."""
    if isinstance(error, UnreadableError):
        return "unreadable"
    if isinstance(error, CrashedError):
        return "crashed"
    return "rejected" if isinstance(error, Reject) else "failed"


def describe(error: Exception) -> str:
    """For a dead letter: one line, not too long."""
    if isinstance(error, Reject | Retry) and str(error):
        return printable(told(error))[:_ERROR_CHARACTERS]
    return printable(f"{type(error).__name__}: {told(error)}")[:_ERROR_CHARACTERS]


def exact_pauses(policy: Policy, error: Exception) -> tuple[float, ...]:
    """Seconds before each further attempt, the last one repeats; none where the back-off says."""
    return (error.after,) if isinstance(error, Retry) and error.after is not None else policy.delays


def decide(policy: Policy, error: Exception, attempt: int) -> Decision:
    """After so many attempts, this one included. settle.lua of the reliable queue, which counts them, does the same."""
    why = reason(error)
    if why != "failed" or attempt >= policy.attempts:
        return Decision(why)
    if pauses := exact_pauses(policy, error):
        return Decision(None, pauses[min(attempt, len(pauses)) - 1])
    return Decision(None, min(policy.cap, policy.backoff * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)), jitter=True)
