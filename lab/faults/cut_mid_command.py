"""Connections break in the middle of a command or of a reply.

How:     eight times a proxy lets half of the next bytes through, in whichever direction, and resets that
         connection.
Expect:  half a command is no command, half a reply is no reply: as for lost replies.
"""

from functools import partial

from lab.faults.contract import Breaks, Fault, NotStruckError
from lab.proxy import Proxy
from lab.trials.town import Town

_TIMES = 8


def strike(town: Town) -> None:
    town.run(0.5)
    proxy = town.proxy
    if proxy is None:
        raise NotStruckError("there is no proxy")
    for done in range(_TIMES):
        proxy.limit_data(1)
        town.until(partial(_cut, proxy, done + 1), f"{_TIMES} connections were not cut", 40)
        town.run(town.chance.uniform(0, 0.3))
    town.hits += _TIMES


def _cut(proxy: Proxy, times: int) -> bool:
    return proxy.cuts >= times


FAULT = Fault(
    name="cut-mid-command",
    title="link cut mid-command",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER}),
    proxied="everybody",
)
