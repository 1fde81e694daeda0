"""Quick work is followed by slow work, without a sign of where the one ends and the other begins.

How:     four consumers, 6,000 messages that take no time, then 40 that take 0.25 s each (pub/sub: 10, as each consumer
         hears all of them). The time counts from the end of the quick ones until the last slow one is handled.
Expect:  the slow ones are shared: 2.5 s is ideal, twice that and a second is allowed on queue, reliable and stream. A
         consumer that takes as many as it could do of the quick ones keeps the others idle. Nothing is lost or
         doubled. What a consumer gives back is handled by another one, so the order between them may change.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town

_QUICK = 6000
_SLOW = 40
_SECONDS = 0.25
_CONSUMERS = 4


def strike(town: Town) -> None:
    town.feed.flow(0)
    town.hold()
    quick = set(town.feed.burst(_QUICK))
    town.feed.burst(_SLOW // _CONSUMERS if town.subject.fan_out else _SLOW, slow=True)
    try:
        town.until(lambda: not town.feed.waiting, "the messages were not sent", 30)
        town.run(0.5)
    finally:
        town.release()
    town.until(lambda: quick <= town.records.done, "the quick ones were not handled", 60)
    town.over()
    town.until(lambda: town.records.attempted.keys() <= town.records.done, "the slow ones were not handled", 60)


FAULT = Fault(
    name="mixed-work",
    title="mixed slow and quick work",
    strike=strike,
    breaks=frozenset({Breaks.OVERRUN}),
    consumers=_CONSUMERS,
    work_seconds=0,
    slow_seconds=_SECONDS,
    recovery_seconds=2 * _SLOW * _SECONDS / _CONSUMERS + 1,
    quick=True,
)
