"""Redis is killed, with appendfsync always, and comes back.

How:     kill -9 of the server under a backlog; a second later it starts again from what is on its disk.
Expect:  nothing that was acknowledged is lost. A queue also loses the batch whose reply was on its way; reliable
         and stream get that again.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.feed.burst(300)
    town.until(lambda: town.records.begun > 60, "nothing was handled", 15)
    town.crash(down=1)


FAULT = Fault(
    name="redis-killed-always",
    title="Redis killed, AOF always",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER}),
    appendfsync="always",
    work_seconds=0.01,
)
