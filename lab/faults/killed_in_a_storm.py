"""Four consumers are killed again and again.

How:     ten times, at random moments some 0.4 s apart, kill -9 of a random one, 300 messages behind.
Expect:  as for one; a message that was in hand twice when its consumer died is suspected, not condemned.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town

_KILLS = 10
_BURST = 300


def strike(town: Town) -> None:
    for _ in range(_KILLS):
        town.feed.burst(_BURST)
        town.run(town.chance.uniform(0.2, 0.6))
        town.until(lambda: town.living, "nobody was left to be killed", 15)
        town.kill(town.chance.choice(town.living))


FAULT = Fault(
    name="killed-in-a-storm",
    title="consumers killed in a storm",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
    consumers=4,
    work_seconds=0.004,
)
