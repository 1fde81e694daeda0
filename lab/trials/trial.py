"""One cell of the matrix: a fault tried on a subject, and judged."""

import random
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lab.trials import aftermath
from lab.trials.checker import Evidence, Verdict, judge
from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.poison import POISONED, RAISED
from lab.trials.promises import Circumstances, broken
from lab.trials.subjects import LEASE_SECONDS, Subject
from lab.trials.town import CancelledError, Town

__all__ = ["Cell", "attempt"]

_CALM_SECONDS = 0.5
_AFTERMATH_SECONDS = 1.0
_PATIENCE_SECONDS = 20.0
_SENDER_SECONDS = 25.0
_QUIET_SECONDS = 2.0
_QUIET_REDELIVERY_SECONDS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What came of it."""

    subject: str
    fault: str
    verdict: Verdict | None
    """None where it was not tried."""
    broken: tuple[str, ...] = ()
    """Declared guarantees that did not hold."""
    problem: str = ""
    """Why it was not tried, or could not be."""
    failed: bool = False
    """The lab itself could not do what it was to do."""
    seconds: float = 0.0


def attempt(subject: Subject, fault: Fault, seed: int, cancelled: threading.Event) -> Cell:
    """Try it; the same seed does the same, as far as the machine's own timing allows.

    Raises:
        CancelledError: it was cut short.
    """
    if fault.not_yet:
        return Cell(subject=subject.name, fault=fault.name, verdict=None, problem=fault.not_yet)
    started = time.monotonic()
    chance = random.Random(f"{seed} {fault.name} {subject.name}")  # noqa: S311 - repeatable on purpose
    with tempfile.TemporaryDirectory(prefix="townpost-trial-") as folder:
        try:
            with Town(subject, fault, Path(folder), chance, cancelled) as town:
                verdict, kept = _try(town, fault)
        except CancelledError:
            raise
        except NotStruckError as error:
            return Cell(subject=subject.name, fault=fault.name, verdict=None, problem=str(error), failed=True)
        except Exception as error:  # noqa: BLE001 - one cell that fails is told, and the others go on
            problem = f"{type(error).__name__}: {error}"
            return Cell(subject=subject.name, fault=fault.name, verdict=None, problem=problem, failed=True)
        return Cell(
            subject=subject.name,
            fault=fault.name,
            verdict=verdict,
            broken=tuple(kept),
            seconds=time.monotonic() - started,
        )


def _try(town: Town, fault: Fault) -> tuple[Verdict, list[str]]:
    town.feed.flow(fault.pace)
    town.run(_CALM_SECONDS)
    fault.strike(town)
    over = town.over_at or time.monotonic()
    town.feed.flow(fault.pace)
    town.run(_AFTERMATH_SECONDS)
    town.came(lambda: _handles_again(town, over), _PATIENCE_SECONDS)
    town.end_feed()
    town.came(lambda: town.sender.process.status is not None, _SENDER_SECONDS)
    _settle(town)
    dead = aftermath.dead(town)
    town.dismiss()
    town.records.refresh()
    verdict = judge(_evidence(town, over, dead))
    if town.subject.promises is None:
        return verdict, []
    found = broken(town.subject.promises, _circumstances(town, dead), verdict)
    found += town.wrong
    found += aftermath.complaints(town)
    found += [f"left in Redis: {what}" for what in aftermath.left_in_redis(town)]
    return verdict, found


def _circumstances(town: Town, dead: set[str]) -> Circumstances:
    fault = town.fault
    readable = {what for what in dead if what in town.records.attempted}
    unexplained = 0 if town.garbage is None else abs(len(dead) - len(readable) - town.garbage)
    return Circumstances(
        breaks=fault.breaks | ({Breaks.OVERRUN} if town.held else set()),
        listeners=len(town.consumers),
        hits=max(town.hits, aftermath.ended_with(town, POISONED)),
        stalled=town.stalled,
        raised=aftermath.ended_with(town, RAISED),
        recovery_seconds=fault.recovery_seconds,
        work_seconds=fault.work_seconds,
        resent=town.resent,
        repeated=town.repeated,
        misplaced=len(readable ^ town.set_aside) + unexplained,
        once=town.once,
        concurrency=town.subject.concurrency,
    )


def _handles_again(town: Town, over: float) -> bool:
    """Whether each consumer has handled something that was sent since."""
    attempted = town.records.attempted
    heard = town.records.heard
    return all(
        any(attempted.get(what, 0.0) >= over for what in reversed(heard.get(member.name, {})))
        for member in town.consumers
    )


def _settle(town: Town) -> None:
    """Until all that was acknowledged is accounted for, or nothing moves any more; then a lease for late doubles."""
    quiet = _QUIET_REDELIVERY_SECONDS if town.subject.redelivers else _QUIET_SECONDS
    begun = time.monotonic()
    accounted = set[str]()

    def done() -> bool:
        nonlocal accounted
        records = town.records
        if time.monotonic() - max(records.changed, begun) > quiet:
            return True
        missing = records.acknowledged - records.done - accounted
        if missing and town.subject.redelivers:
            accounted |= aftermath.dead(town)
        if town.subject.fan_out:
            return all(records.acknowledged <= records.heard.get(member.name, {}).keys() for member in town.consumers)
        return not missing

    town.came(done, _PATIENCE_SECONDS * 3)
    if town.subject.redelivers:
        town.run(LEASE_SECONDS * 2.2)
    else:
        town.run(0.3)


def _evidence(town: Town, over: float, dead: set[str]) -> Evidence:
    records = town.records
    return Evidence(
        attempted=records.attempted,
        acknowledged=records.acknowledged,
        delivered=records.deliveries,
        dead=dead,
        forgotten=town.forgotten,
        listeners=[member.name for member in town.consumers],
        fan_out=town.subject.fan_out,
        over=over,
    )
