"""The publisher is killed in the middle of a batch, and started again.

How:     5,000 messages at once; kill -9 as soon as the first of them are acknowledged.
Expect:  nothing that was acknowledged is lost. Some may have arrived that nobody was told of: they count as
         recovered.
"""

from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town


def strike(town: Town) -> None:
    burst = set(town.feed.burst(5000))
    town.until(lambda: burst & town.records.acknowledged, "nothing of it was acknowledged", 15)
    town.kill(town.sender)
    if burst <= town.records.acknowledged:
        raise NotStruckError("all of it was acknowledged before the blow")
    town.until(lambda: town.sender.process.status is None, "the publisher did not start again", 15)


FAULT = Fault(
    name="publisher-killed",
    title="publisher killed amid a batch",
    strike=strike,
    breaks=frozenset({Breaks.PUBLISHER}),
    work_seconds=0,
)
