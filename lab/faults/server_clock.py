"""The clock of Redis jumps: a minute ahead, and later an hour back, while consumers are at work.

How:     the server runs under libfaketime. Both consumers are in the middle of a message when its clock jumps ahead.
         Later one is killed in the middle of a message, and before its lease is over the clock jumps back an hour.
Expect:  reliable and stream lose nothing. What is in flight at a jump may be handled twice, as after a pause. The
         dead consumer's work comes back about a lease later, by a clock that does not jump, and not in an hour: at
         most eight seconds after the jump all is handled.
"""

from lab.clock import library
from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_AHEAD = 60
_BACK = _AHEAD - 3600


def strike(town: Town) -> None:
    clock = town.server.clock
    if clock is None:
        raise NotStruckError("the server has no clock of its own")
    town.feed.burst(200)
    town.hold()
    town.until(lambda: all(map(town.busy, town.consumers)), "not every consumer was at work", 15)
    clock.set(_AHEAD)
    town.stalled += len(town.consumers)
    town.run(1.5)
    town.release()
    town.run(0.5)

    victim = town.consumers[0]
    town.feed.burst(200)
    town.hold()
    town.until(lambda: town.busy(victim), "the consumer was never at work", 15)
    town.kill(victim)
    clock.set(_BACK)
    town.stalled += len(town.consumers)
    town.release()


FAULT = Fault(
    name="server-clock",
    title="clock of Redis jumps",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
    work_seconds=0.01,
    recovery_seconds=8,
    shifted=True,
    not_yet="" if library() is not None else "not run: libfaketime is not installed",
)
