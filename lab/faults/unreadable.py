"""Another program sends what is no message.

How:     16 times, amid the flow, something that cannot be read: broken JSON or UTF-8, a bare number, wrong types.
Expect:  its neighbours are handled as if nothing had been. reliable and stream put it among the dead letters, with
         the reason. A consumer that believes what it reads dies of it, and with it goes what it had in hand.
"""

from lab.trials.fault import Fault
from lab.trials.town import Town

_GARBAGE = (b"{", b"\xff\xfe", b"42", b'{"id": 1}', b'{"count": "5", "message": "x"}', b"[" * 5000, b"", b"null")
_TIMES = 2


def strike(town: Town) -> None:
    for _ in range(_TIMES):
        for payload in _GARBAGE:
            town.run(0.02)
            if town.subject.groups:
                town.client.xadd(town.subject.key, {"message": payload})
            elif town.subject.fan_out:
                town.client.publish(town.subject.key, payload)
            else:
                town.client.rpush(town.subject.key, payload)
    town.garbage = _TIMES * len(_GARBAGE)


FAULT = Fault(
    name="unreadable",
    title="unreadable messages mixed in",
    strike=strike,
)
