"""A deployment: three consumers under load are replaced, one after the other.

How:     SIGTERM, wait for its end, start a new one, wait until it listens; then the next.
Expect:  a queue of ours loses nothing: what is in hand is finished, the rest goes back. Without a handler for
         SIGTERM, Python dies where it stands. Pub/sub misses what is published while one is away.
"""

from lab.faults.contract import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.feed.burst(300)
    for consumer in town.consumers:
        town.run(0.3)
        town.roll(consumer)


FAULT = Fault(
    name="rolling-restart",
    title="rolling restart (SIGTERM)",
    strike=strike,
    breaks=frozenset({Breaks.RESTART}),
    consumers=3,
    work_seconds=0.01,
    quick=True,
)
