"""The clocks of the machines disagree by an hour.

How:     what Python's `time` tells one consumer is an hour ahead, the publisher an hour behind; 60 messages take
         longer than a lease.
Expect:  nothing at all: leases go by the clock of Redis alone.
"""

from lab.trials.fault import Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.feed.flow(0)
    town.hold()
    town.feed.burst(60)
    town.run(2.5)
    town.release()


FAULT = Fault(
    name="clock-skew",
    title="clocks an hour apart",
    strike=strike,
    skewed=True,
)
