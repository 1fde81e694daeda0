"""Redis is restarted in good order.

How:     SIGTERM of the server under a backlog, which writes what it has; a second later it starts again.
Expect:  nothing that was acknowledged is lost, but for a queue's batch whose reply was on its way. Pub/sub misses
         what is published before it is back.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.feed.burst(300)
    town.until(lambda: town.records.begun > 60, "nothing was handled", 15)
    town.crash(down=1, gently=True)


FAULT = Fault(
    name="redis-restarted",
    title="Redis restarted",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER}),
    work_seconds=0.01,
)
