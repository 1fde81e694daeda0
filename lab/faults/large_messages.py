"""Messages of up to a megabyte lie amid small ones, wherever a message can lie, and consumers are killed.

How:     24 messages of 64 KiB to just under 1 MiB, each between small ones: in the list, and where the pattern
         schedules, urgent ones and delayed ones as well. Twice, kill -9 of a consumer that is in the middle of one.
Expect:  size changes nothing: a queue loses what the dead one had in hand, reliable and stream hand it out again.
         No consumer waits for the others' megabytes for longer than it takes to carry them.
"""

from functools import partial

from lab.processes import Process
from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town

_SIZES = (64 * 1024, 200_000, 400_000, 1024 * 1024 - 1000)
"""The largest leaves room for the other fields: MAX_MESSAGE_BYTES is 1 MiB."""
_LARGE = 24
_DELAY = "0.7"


def strike(town: Town) -> None:
    promises = town.subject.promises
    schedules = promises is not None and promises.schedules
    delayed = _send_delayed(town) if schedules else None
    for number in range(_LARGE):
        priority = number % 10 if schedules and number % 2 else None
        town.feed.burst(4, priority=priority)
        town.feed.burst(1, town.chance.choice(_SIZES), priority=priority)
    for victim in town.consumers:
        town.run(0.3)
        town.hold()  # so that it is in the middle of one for certain
        town.until(partial(town.busy, victim), "the consumer was never at work", 15)
        town.kill(victim)
        town.release()
    town.until(lambda: not town.feed.waiting, "the messages were not sent", 60)
    if delayed is not None:
        town.until(lambda: delayed.status is not None, "the delayed ones were not sent", 30)


def _send_delayed(town: Town) -> Process:
    """Another publisher, as each has one delay."""
    lines = [line for size in _SIZES for line in town.feed.apart(4, 0) + town.feed.apart(1, size)]
    file = town.records.folder / "delayed.jsonl"
    file.write_bytes(b"".join(lines))
    receipts = str(town.records.receipts)
    return town.another("publisher", "--file", str(file), "--delay", _DELAY, "--receipts", receipts)


FAULT = Fault(
    name="large-messages",
    title="large messages mixed in",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
    work_seconds=0.01,
)
