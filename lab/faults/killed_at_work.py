"""A consumer is killed in the middle of a message.

How:     200 messages at once, 10 ms of work each; kill -9 while a handler has begun one and not finished it.
Expect:  a queue loses what the dead one had in hand: one message where one is taken at a time, a batch where a
         batch is. reliable and stream hand it to the other consumer when its lease is over.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    victim = town.consumers[0]
    town.feed.burst(200)
    town.until(lambda: town.records.begun > 20, "nothing was handled", 15)
    town.hold()  # so that it is in the middle of one for certain
    town.until(lambda: town.busy(victim), "the consumer was never at work", 15)
    town.kill(victim)
    town.release()


FAULT = Fault(
    name="killed-at-work",
    title="consumer killed at work",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
    work_seconds=0.01,
    quick=True,
)
