"""A slot moves to another node of a Redis Cluster.

How:     not yet: the services do not speak to a Cluster. Then: move the slot of the queue under load.
Expect:  a list and its companions share one slot, so they move together; clients are told MOVED and ASK.
"""

from lab.trials.fault import Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    raise NotImplementedError(town.fault.not_yet)


FAULT = Fault(
    name="slot-migration",
    title="Cluster slot migration",
    strike=strike,
    not_yet="the services do not speak to a Cluster yet",
)
