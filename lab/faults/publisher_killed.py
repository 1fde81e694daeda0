"""The publisher is killed in the middle of a batch, and started again.

How:     5,000 messages at once; kill -9 as soon as the first of them are acknowledged.
Expect:  nothing that was acknowledged is lost. Some may have arrived that nobody was told of: they count as
         recovered.
"""

from lab.faults.contract import Breaks, Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    before = len(town.records.acknowledged)
    town.feed.burst(5000)
    town.until(lambda: len(town.records.acknowledged) > before, "nothing was acknowledged", 15)
    town.kill(town.sender)
    town.until(lambda: town.sender.process.status is None, "the publisher did not start again", 15)


FAULT = Fault(
    name="publisher-killed",
    title="publisher killed amid a batch",
    strike=strike,
    breaks=frozenset({Breaks.SENDER}),
    work_seconds=0,
)
