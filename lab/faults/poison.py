"""One message kills every process that handles it.

How:     one among 200; handlers end their process when they begin it. It is started again half a second later.
Expect:  a queue loses the poison, and the batch that was in hand with it. reliable and stream hand it out again,
         alone, until it is condemned: it ends among the dead letters, its neighbours are handled.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.feed.burst(100)
    town.feed.again(town.poison)
    town.feed.burst(100)
    town.set_aside.add(town.poison)
    town.until(lambda: any(consumer.statuses for consumer in town.consumers), "nobody died of it", 30)
    town.run(1)


FAULT = Fault(
    name="poison",
    title="poison message",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
)
