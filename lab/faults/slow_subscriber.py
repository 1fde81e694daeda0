"""A consumer is slow for a moment while a lot arrives.

How:     handlers stand still until 24 MB have been sent; Redis may hold 256 kB for a pub/sub client (client-output-
         buffer-limit; by default 32 MB, or 8 MB for a minute).
Expect:  pub/sub: Redis cuts the slow one off and throws away what it held; the publisher was told of a receiver all
         the same. A list or a stream waits.
"""

from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_MESSAGES = 6000
_PADDING = 4000
_CUT_OFF = "overcoming of output buffer limits"
"""In the log of every version."""


def strike(town: Town) -> None:
    before = len(town.records.acknowledged)
    town.hold()
    town.feed.burst(_MESSAGES, _PADDING)
    sent = town.came(lambda: len(town.records.acknowledged) >= before + _MESSAGES, 30)
    town.release()
    if not sent:
        raise NotStruckError("the messages were not sent")
    if town.subject.fan_out and _CUT_OFF not in town.server.log():  # INFO counts them from Redis 7.2 on only
        raise NotStruckError("Redis cut nobody off")
    town.until(lambda: len(town.records.done) > before, "nothing was handled", 30)


FAULT = Fault(
    name="slow-subscriber",
    title="slow consumer, 24 MB behind",
    strike=strike,
    breaks=frozenset({Breaks.BUFFER}),
    server=("--client-output-buffer-limit", "pubsub 256kb 256kb 60"),
    work_seconds=0,
)
