"""Another client writes what it likes under the keys that are Townpost's own.

How:     twice, keys of ours that do not exist are made with a wrong type, and removed 0.7 s later. Then, six times,
         under every companion key of the queue or stream and every `townpost:` key: random members of the type
         that key has, leases of claims that do not exist, unreadable payloads in every list.
Expect:  what was sent and acknowledged is handled, and no service ends or prints a traceback. Foreign members are
         passed over, or become dead letters where they stand for a message. While a companion has the wrong type that
         pattern may wait, and what is in flight may come twice; ten seconds after the end all is handled. Not part of
         it: a key that holds messages is deleted or overwritten.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.hostile import HostileHand
from lab.trials.town import Town

_ROUNDS = 6
_WRONG_TYPES = 2


def strike(town: Town) -> None:
    hand = HostileHand(town.client, town.subject, town.chance)
    town.garbage = None
    town.feed.burst(200)
    for _ in range(_WRONG_TYPES):
        town.stalled += len(town.consumers)
        hand.usurp()
        town.run(0.7)
        hand.withdraw()
        town.run(0.3)
    for _ in range(_ROUNDS):
        hand.add()
        town.run(0.3)


FAULT = Fault(
    name="hostile-keys",
    title="hostile keys",
    strike=strike,
    breaks=frozenset({Breaks.WRITES}),
    recovery_seconds=10,
)
