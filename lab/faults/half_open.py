"""A router forgets the consumers' connections: packets vanish, and nobody is told.

How:     a proxy throws away whatever arrives on the connections there are; new ones work.
Expect:  a consumer that trusts its connection waits for ever. Ours ask for a sign of life, find out within 5 s and
         connect again. Pub/sub has missed what was published; a queue may have lost what was sent into the void.
"""

from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.run(0.5)
    if town.proxy is None or not town.proxy.half_open():
        raise NotStruckError("there was no connection to forget")
    town.over()
    town.hits += len(town.consumers)
    town.run(1)


FAULT = Fault(
    name="half-open",
    title="half-open link",
    strike=strike,
    breaks=frozenset({Breaks.LINK}),
    proxied="consumers",
)
