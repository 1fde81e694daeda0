"""The link cuts everything into tiny slices.

How:     a proxy hands on at most five bytes at a time, in both directions, for two seconds.
Expect:  nothing is lost or doubled: a reader must not believe that a reply arrives in one piece.
"""

from lab.trials.fault import Fault, NotStruckError
from lab.trials.town import Town


def strike(town: Town) -> None:
    proxy = town.proxy
    if proxy is None:
        raise NotStruckError("there is no proxy")
    proxy.slicer = 5
    town.run(2)
    proxy.slicer = 0


FAULT = Fault(name="tiny-slices", title="tiny slices", strike=strike, proxied="everybody")
