"""A producer sends the same messages twice.

How:     100 messages are sent once more, under their ids, a second later. reliable remembers ids (ONCE_SECONDS=60).
Expect:  each pattern delivers them twice, as it was told; with ONCE_SECONDS the second ones are not handled.
"""

from lab.trials.fault import Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    ids = town.feed.burst(100)
    town.once = True
    town.run(1)
    town.feed.again(*ids)
    town.repeated = len(ids)
    records = town.records
    town.until(
        lambda: records.receipts_read >= len(records.acknowledged) + len(ids), "nothing was taken a second time", 15
    )


FAULT = Fault(
    name="sent-twice",
    title="messages sent twice",
    strike=strike,
    environment={"ONCE_SECONDS": "60"},
)
