"""A replica takes over from the master.

How:     not yet: the services do not speak to Sentinel. Then: kill the master, let Sentinel promote the replica.
Expect:  what was not yet replicated is forgotten by Redis; blocked consumers are told UNBLOCKED, writes READONLY.
"""

from lab.trials.fault import Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    raise NotImplementedError(town.fault.not_yet)


FAULT = Fault(
    name="failover", title="Sentinel failover", strike=strike, not_yet="the services do not speak to Sentinel yet"
)
