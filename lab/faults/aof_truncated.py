"""The power fails: the end of what Redis wrote never reached the disk.

How:     kill -9 of the server, then up to 20,000 bytes are cut off the end of its append-only file (kill -9 alone
         loses nothing that was written: the kernel still has it).
Expect:  Redis forgets its last acknowledged messages, on every pattern; nothing else is lost. As it also forgets
         the last acknowledgements, some messages come twice.
"""

from lab.trials.fault import Breaks, Fault, NotStruckError
from lab.trials.town import Town

_BYTES = 20_000


def strike(town: Town) -> None:
    town.feed.burst(300)
    town.until(lambda: town.records.begun > 60, "nothing was handled", 15)
    cut = town.crash(down=1, cut=town.chance.randrange(_BYTES // 4, _BYTES))
    if not cut and not town.subject.fan_out:
        raise NotStruckError("there was nothing to cut off")


FAULT = Fault(
    name="aof-truncated",
    title="power loss (AOF tail cut)",
    strike=strike,
    breaks=frozenset({Breaks.LINK, Breaks.SENDER, Breaks.MEMORY}),
    work_seconds=0.01,
)
