"""Nothing goes wrong.

How:     150 messages a second for a few seconds, two consumers.
Expect:  every pattern delivers each message, once, in order. What fails here fails everywhere.
"""

from lab.trials.fault import Fault
from lab.trials.town import Town


def strike(town: Town) -> None:
    town.run(1.5)


FAULT = Fault(name="nothing", title="nothing goes wrong", strike=strike)
