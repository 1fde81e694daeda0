"""Redis is killed, with appendfsync everysec, and comes back.

How:     kill -9 of the server under a backlog; a second later it starts again from what is on its disk.
Expect:  nothing that was acknowledged is lost: what was written survives the process. (Killed while the disk is
         busy with a sync, Redis forgets what it had not yet written; power loss is another fault: see aof-
         truncated.) A queue also loses the batch whose reply was on its way; reliable and stream get that again.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.feed.burst(300)
    town.until(lambda: town.records.begun > 60, "nothing was handled", 15)
    town.crash(down=1)


FAULT = Fault(
    name="redis-killed-everysec",
    title="Redis killed, AOF everysec",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER, Breaks.MEMORY}),
    appendfsync="everysec",
    work_seconds=0.01,
    quick=True,
)
