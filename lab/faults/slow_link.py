"""The link is slow: every reply is late, and there is little bandwidth.

How:     a proxy adds 50 to 150 ms to each reply and lets 100,000 bytes a second through, for four seconds.
Expect:  nothing is lost or doubled; it takes longer.
"""

from lab.trials.fault import Fault, NotStruckError
from lab.trials.town import Town


def strike(town: Town) -> None:
    proxy = town.proxy
    if proxy is None:
        raise NotStruckError("there is no proxy")
    proxy.latency, proxy.jitter, proxy.bandwidth = 0.05, 0.1, 100_000
    town.run(4)
    proxy.latency = proxy.jitter = proxy.bandwidth = 0


FAULT = Fault(name="slow-link", title="slow link", strike=strike, proxied="everybody")
