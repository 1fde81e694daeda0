"""Four consumers are killed again and again.

How:     ten times, at random moments within four seconds, kill -9 of a random one under a backlog.
Expect:  as for one; a message that was in hand twice when its consumer died is suspected, not condemned.
"""

from lab.faults.contract import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_KILLS = 10


def strike(town: Town) -> None:
    town.feed.burst(1000)
    for _ in range(_KILLS):
        town.run(town.chance.uniform(0.1, 0.7))
        town.kill(town.chance.choice(town.consumers))
    if town.hits == 0:
        raise NotStruckError("nobody was killed")


FAULT = Fault(
    name="killed-in-a-storm",
    title="consumers killed in a storm",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
    consumers=4,
    work_seconds=0.004,
)
