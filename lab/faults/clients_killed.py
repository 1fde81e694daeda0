"""An operator, or a failover, closes every connection.

How:     CLIENT KILL of all normal and pub/sub clients, five times in two seconds, under a backlog.
Expect:  reliable and stream lose nothing. A queue may lose a batch whose reply was on its way; pub/sub what is
         published before it has subscribed again.
"""

from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_TIMES = 5


def strike(town: Town) -> None:
    town.feed.burst(500)
    killed = 0
    for _ in range(_TIMES):
        town.run(town.chance.uniform(0.3, 0.5))
        for kind in ("normal", "pubsub"):
            killed += int(town.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"))
        town.hits += len(town.consumers)
        town.resent += 1
    if not killed:
        raise NotStruckError("there was nobody to disconnect")


FAULT = Fault(
    name="clients-killed",
    title="CLIENT KILL, five times",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER}),
    work_seconds=0.004,
)
