"""A consumer is frozen for longer than its lease, and wakes up believing that nothing happened.

How:     SIGSTOP in the middle of a message, SIGCONT three seconds later; the lease is one second.
Expect:  a queue loses nothing: the sleeper finishes late. reliable and stream hand its work to the other one and
         tell the sleeper that it is too late: those messages are handled twice, none is lost.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    sleeper = town.consumers[0]
    town.feed.burst(200)
    town.until(lambda: town.records.begun > 20, "nothing was handled", 15)
    town.hold()  # so that it is in the middle of one for certain
    town.until(lambda: town.busy(sleeper), "the consumer was never at work", 15)
    town.freeze(sleeper)
    town.release()
    town.run(3)
    town.thaw(sleeper)


FAULT = Fault(
    name="frozen",
    title="consumer frozen past its lease",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
    work_seconds=0.01,
)
