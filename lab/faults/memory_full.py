"""Redis is full: maxmemory with noeviction.

How:     handlers stand still while more is sent than fits; when Redis refuses, they go on.
Expect:  the publisher is refused and waits, or tells its caller; draining works although nothing can be written.
         Nothing that was acknowledged is lost. PUBLISH is never refused.
"""

import contextlib

import redis

from lab.trials.fault import Fault
from lab.trials.town import Town

_MESSAGES = 6000
_PADDING = 1000


def strike(town: Town) -> None:
    town.hold()
    try:
        town.feed.burst(_MESSAGES, _PADDING)
        if town.subject.fan_out:
            _fill(town)
        town.until(lambda: _refused(town), "Redis refused nothing", 30)
        town.run(1)
    finally:
        town.release()
    town.until(lambda: not town.feed.waiting, "the rest could not be sent", 60)


def _fill(town: Town) -> None:
    """What is published takes no room, so something else has to."""
    with contextlib.suppress(redis.exceptions.OutOfMemoryError):
        for number in range(_MESSAGES):
            town.client.set(f"filler{number}", "x" * _PADDING)


def _refused(town: Town) -> bool:
    stats = town.client.info("errorstats")
    return "errorstat_OOM" in stats


FAULT = Fault(
    name="memory-full",
    title="Redis full (maxmemory)",
    strike=strike,
    server=("--maxmemory", "6mb", "--maxmemory-policy", "noeviction"),
    work_seconds=0,
    environment={"STREAM_MAXLEN": "1000"},
)
