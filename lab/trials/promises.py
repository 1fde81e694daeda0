"""What a pattern that declares such guarantees may lose or double under such a fault; and whether it kept to that.

This is the only place where guarantees and faults meet. Nobody promises anything for the tutorials' designs.
"""

from dataclasses import dataclass

from lab.trials.checker import Verdict
from lab.trials.fault import Breaks
from townpost import Guarantees

__all__ = ["Circumstances", "broken"]

_TAKEN_AWAY = frozenset({Breaks.CONSUMER, Breaks.LINK})
_MISSED = _TAKEN_AWAY | {Breaks.RESTART, Breaks.BUFFER}
_SENDERS_BATCH = 500
_QUEUE_BATCH = 500
"""Of `queue`: the batch in hand, and the next one on its way."""
_CLAIM = 1000
_PREFETCH_SECONDS = 0.05
_ANSWERED_SECONDS = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What happened, as far as a promise depends on it."""

    breaks: frozenset[Breaks] = frozenset()
    listeners: int = 1
    """How many hear each message, where everyone does."""
    hits: int = 0
    """How often a consumer was interrupted, with messages in hand."""
    stalled: int = 0
    """How often one could not acknowledge in time what it had in hand, and went on all the same."""
    raised: int = 0
    """How often an exception ended a consumer's loop, with one message in hand."""
    recovery_seconds: float = 30.0
    """How long it may take until all is well again."""
    work_seconds: float = 0.0
    """How long a handler takes for a message."""
    resent: int = 0
    """How often the publisher could not know whether a batch had arrived."""
    repeated: int = 0
    """How many messages were sent twice on purpose."""
    misplaced: int = 0
    """How many messages are among the dead letters and should not be, or should be and are not."""
    concurrency: int = 1
    """How many messages are at work at once in one consumer."""
    once: bool = False
    """Nobody was to handle a message twice, though it was sent twice."""


def broken(promises: Guarantees, what: Circumstances, verdict: Verdict) -> list[str]:
    """Every promise that was not kept, in words; none if all were."""
    # what nothing can be given back of cannot be overtaken by it
    misordering = what.breaks if promises.durable else what.breaks - {Breaks.OVERRUN}
    in_order = promises.ordered and not misordering and not what.repeated
    unsent = verdict.attempted - verdict.acknowledged
    all_sent = Breaks.PUBLISHER not in what.breaks or not verdict.acknowledged
    counts = (
        (verdict.lost, _may_lose(promises, what), "lost"),
        (verdict.lost_later, 0, "lost that were sent when all was well again"),
        (verdict.duplicated, _may_double(promises, what), "came twice"),
        (verdict.forgotten, None if Breaks.MEMORY in what.breaks else 0, "forgotten by Redis"),
        (verdict.unexpected, 0, "that nobody sent"),
        (verdict.reordered, 0 if in_order else None, "out of order"),
        (what.misplaced, 0 if promises.redelivers else None, "wrongly among the dead letters, or wrongly not"),
        (unsent, 0 if all_sent else None, "never acknowledged to the publisher"),
    )
    found = [
        f"{count} {words}" + (f", where {most} may be" if most else "")
        for count, most, words in counts
        if most is not None and count > most
    ]
    if verdict.recovery is None:
        found.append("somebody handled nothing any more")
    elif verdict.recovery > what.recovery_seconds:
        found.append(f"took {verdict.recovery:.1f} s to recover, where {what.recovery_seconds:g} s may be")
    return found


def _may_lose(promises: Guarantees, what: Circumstances) -> int | None:
    """How many; None for any number."""
    if promises.redelivers:
        return 0
    if promises.durable:
        return what.hits * _in_hand(what, _QUEUE_BATCH) + what.raised if what.breaks & _TAKEN_AWAY else 0
    return None if what.breaks & _MISSED else 0


def _may_double(promises: Guarantees, what: Circumstances) -> int | None:
    """How many; None for any number."""
    if what.once and promises.schedules:
        return 0
    if promises.durable and Breaks.MEMORY in what.breaks:
        return None  # that it was popped, or acknowledged, may be what Redis forgot
    sent_again = what.repeated + what.resent * _SENDERS_BATCH
    if promises.fan_out:
        sent_again *= what.listeners
    return sent_again + ((what.hits + what.stalled) * _in_hand(what, _CLAIM) if promises.redelivers else 0)


def _in_hand(what: Circumstances, most: int) -> int:
    """The most that a consumer of ours has in hand: 50 ms of work (PREFETCH=auto), or what one reply brings.

    With several at work at once: these, and what was answered in the last 150 ms.
    """
    if what.concurrency > 1:
        answered = most if not what.work_seconds else int(_ANSWERED_SECONDS / what.work_seconds) * what.concurrency
        return what.concurrency + answered
    return most if not what.work_seconds else max(1, min(most, int(_PREFETCH_SECONDS / what.work_seconds)))
