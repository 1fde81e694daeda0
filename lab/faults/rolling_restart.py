"""A deployment: three consumers under load are replaced, one after the other.

How:     200 messages at once, SIGTERM, wait for its end, start a new one, wait until it listens; then the next.
Expect:  a queue of ours loses nothing: what is in hand is finished, the rest goes back. Without a handler for
         SIGTERM, Python dies where it stands. Pub/sub misses what is published while one is away.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    for consumer in town.consumers:
        town.feed.burst(200)
        town.run(0.2)
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
