"""Redis hands out messages, and the reply is lost on its way to the consumer.

How:     six times a proxy swallows a reply that carries messages, and closes that connection.
Expect:  a pop has already happened: with BLPOP those messages are gone, and with redis-py's automatic retries not
         even an error tells. reliable and stream hand them out again.
"""

from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_TIMES = 6


def strike(town: Town) -> None:
    town.run(0.5)
    proxy = town.proxy
    if proxy is None:
        raise NotStruckError("there is no proxy")
    proxy.swallow_replies(b'"epoch"', _TIMES)
    town.until(lambda: proxy.swallowed == _TIMES, f"{_TIMES} replies were not lost", 40)
    town.hits += _TIMES


FAULT = Fault(
    name="pops-unheard",
    title="replies to consumers lost",
    strike=strike,
    breaks=frozenset({Breaks.LINK}),
    proxied="consumers",
    quick=True,
)
