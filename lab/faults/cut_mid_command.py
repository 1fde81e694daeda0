"""Connections break in the middle of a command or of a reply.

How:     a proxy lets half of a command with messages through, or half of a reply with messages, and resets that
         connection: four of each, turn by turn.
Expect:  half a command is no command, half a reply is no reply: as for lost replies.
"""

from functools import partial

from lab.proxy import Proxy
from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_TIMES = 4


def strike(town: Town) -> None:
    town.run(0.5)
    proxy = town.proxy
    if proxy is None:
        raise NotStruckError("there is no proxy")
    for number in range(2 * _TIMES):
        proxy.limit_data(b'"epoch"', 1, upstream=number % 2 == 0)
        town.until(partial(_cut, proxy, number + 1), f"only {number} connections were cut", 40)
        town.run(town.chance.uniform(0, 0.3))
    town.hits += _TIMES
    town.resent += _TIMES


def _cut(proxy: Proxy, times: int) -> bool:
    return proxy.cuts >= times


FAULT = Fault(
    name="cut-mid-command",
    title="link cut mid-command",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER}),
    proxied="everybody",
)
