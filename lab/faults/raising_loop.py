"""Consumers are loops over deliveries, and the body of the loop raises an exception.

How:     `for delivery in listen(...)`, with `ack` at the end of the body. It raises for one message in 100, at random,
         and for one message always. An exception ends the process, which is started again half a second later.
Expect:  what raised has failed once: reliable and stream hand it out again, until the one that always raises is a
         dead letter with MAX_ATTEMPTS failures. Its neighbours are handled once. A queue loses the message
         that raised, and no other; pub/sub misses what is published until the process is back.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.poison import RAISED
from lab.trials.town import Town

_ATTEMPTS = 3
_SECONDS = 20


def strike(town: Town) -> None:
    town.feed.burst(100)
    town.feed.again(town.poison)
    town.feed.burst(100)
    if not town.subject.redelivers:
        town.until(lambda: any(member.statuses for member in town.consumers), "the body never raised", 30)
        town.run(2)
        town.calm()
        return
    town.set_aside.add(town.poison)
    died = town.came(lambda: _died(town), _SECONDS)
    town.calm()
    if not died:
        raised = sum(status == RAISED for member in town.consumers for status in member.statuses)
        town.wrong.append(f"the message that always raises is no dead letter, though the loops raised {raised} times")
    elif (attempts := _attempts(town)) != str(_ATTEMPTS):
        town.wrong.append(f"the message that always raises is dead after {attempts} attempts, not {_ATTEMPTS}")


def _died(town: Town) -> bool:
    return bool(_attempts(town))


def _attempts(town: Town) -> str:
    """What the dead letter of the poison says; empty if there is none."""
    for _, fields in town.client.xrange(f"{{{town.subject.key}}}:dead") or []:
        if fields and town.poison.encode() in fields.get(b"payload", b""):
            return str(int(fields.get(b"attempts", b"0")))
    return ""


FAULT = Fault(
    name="raising-loop",
    title="exception in a listen loop",
    strike=strike,
    breaks=frozenset({Breaks.CONSUMER}),
    environment={"RAISES": "0.01", "MAX_ATTEMPTS": str(_ATTEMPTS)},
    work_seconds=0.005,
    loop=True,
)
