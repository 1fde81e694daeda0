"""What a pattern that declares such guarantees may lose or double under such a fault; and whether it kept to that.

This is the only place where guarantees and faults meet. Nobody promises anything for the tutorials' designs.
"""

from dataclasses import dataclass

from lab.faults.contract import Breaks
from lab.trials.checker import Verdict
from shared.patterns.contract import Guarantees

__all__ = ["Circumstances", "broken"]

_TAKEN_AWAY = frozenset({Breaks.CONSUMER, Breaks.LINK})
_MISSED = _TAKEN_AWAY | {Breaks.RESTART, Breaks.BUFFER}
_SENT_TWICE = frozenset({Breaks.SENDER, Breaks.MESSAGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What happened, as far as a promise depends on it."""

    breaks: frozenset[Breaks]
    hits: int
    """How often a consumer was interrupted."""
    in_hand: int
    """How many messages it may have had in hand each time."""
    set_aside: int
    """How many messages belong among the dead letters, where there are any."""
    once: bool
    """Nobody was to handle a message twice, though it was sent twice."""


def broken(promises: Guarantees, what: Circumstances, verdict: Verdict) -> list[str]:
    """Every promise that was not kept, in words; none if all were."""
    found = []
    most = _may_lose(promises, what)
    if most is not None and verdict.lost > most:
        found.append(f"lost {verdict.lost}, of which {most} may be lost" if most else f"lost {verdict.lost}")
    if verdict.forgotten and Breaks.MEMORY not in what.breaks:
        found.append(f"Redis forgot {verdict.forgotten}")
    if verdict.duplicated and not _may_double(promises, what):
        found.append(f"{verdict.duplicated} came twice")
    if verdict.unexpected:
        found.append(f"{verdict.unexpected} that nobody sent")
    if promises.redelivers and verdict.dead != what.set_aside:
        found.append(f"{verdict.dead} dead letters instead of {what.set_aside}")
    if verdict.recovery is None:
        found.append("nothing was handled any more")
    return found


def _may_lose(promises: Guarantees, what: Circumstances) -> int | None:
    """How many; None for any number."""
    if promises.redelivers:
        return 0
    if promises.durable:
        return what.hits * what.in_hand if what.breaks & _TAKEN_AWAY else 0
    return None if what.breaks & _MISSED else 0


def _may_double(promises: Guarantees, what: Circumstances) -> bool:
    if what.once and promises.schedules:
        return False
    if what.breaks & _SENT_TWICE:
        return True
    if promises.redelivers and what.breaks & (_TAKEN_AWAY | {Breaks.WRITES}):
        return True
    return promises.durable and Breaks.MEMORY in what.breaks
