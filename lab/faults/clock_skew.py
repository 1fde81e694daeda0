"""The clocks of the machines disagree by an hour.

How:     one consumer's clock is an hour ahead, the publisher's an hour behind; messages take longer than a lease.
Expect:  nothing at all: leases and delays go by the clock of Redis alone.
"""

from lab.faults.contract import Fault
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
