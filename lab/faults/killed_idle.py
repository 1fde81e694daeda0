"""A consumer is killed while it has nothing to do.

How:     the flow stops until all is handled; then kill -9 of one of two; half a second later a new one starts.
Expect:  a queue loses nothing, as nothing was in hand. Pub/sub misses what is published until the new one listens.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.feed.flow(0)
    town.until(lambda: len(town.records.done) == len(town.records.attempted) > 0, "not all was handled", 15)
    town.run(0.2)
    town.kill(town.consumers[0], idle=True)
    town.over()
    town.feed.flow(town.fault.pace)
    town.run(1.5)


FAULT = Fault(name="killed-idle", title="consumer killed, idle", strike=strike, breaks=frozenset({Breaks.CONSUMER}))
