"""Redis takes messages, and the reply is lost on its way to the publisher.

How:     three times in a row a proxy lets a command with messages through, swallows the reply, and closes the
         connection.
Expect:  nobody can know whether it arrived, so it is sent again. redis-py does that behind one's back; we do it
         under the same id and say so. What comes twice can be told by its id; nothing is lost.
"""

from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_TIMES = 3


def strike(town: Town) -> None:
    town.run(0.5)
    proxy = town.proxy
    if proxy is None:
        raise NotStruckError("there is no proxy")
    proxy.swallow(b'"epoch"', _TIMES)
    town.resent += _TIMES
    town.until(lambda: proxy.swallowed == _TIMES, f"{_TIMES} replies were not lost", 40)


FAULT = Fault(
    name="pushes-unheard",
    title="replies to publisher lost",
    strike=strike,
    breaks=frozenset({Breaks.SENDER}),
    proxied="sender",
)
