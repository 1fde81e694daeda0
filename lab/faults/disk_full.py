"""The disk of Redis is full: its append-only file cannot be written.

How:     Redis has a disk of 8 MB of its own (a tmpfs that only it sees; needs the right to mount one). A file fills
         it for three seconds, then goes away.
Expect:  every command that writes is refused (MISCONF), PUBLISH is not. What is handled meanwhile cannot be
         acknowledged, so reliable and stream may hand it out again. Nothing that was acknowledged is lost, and
         all goes on when there is room again.
"""

from lab.trials.fault import Breaks, Fault
from lab.trials.town import Town

_LEASES = 5
"""So many may run out while nothing can be acknowledged."""


def strike(town: Town) -> None:
    town.run(0.5)
    town.stalled += len(town.consumers) * _LEASES
    filler = town.server.seen_folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    if not town.subject.fan_out:
        town.until(lambda: _failing(town), "Redis did not notice", 20)
    town.run(3)
    filler.unlink()
    town.until(lambda: not _failing(town), "Redis did not recover", 20)


def _failing(town: Town) -> bool:
    return str(town.client.info("persistence")["aof_last_write_status"]) != "ok"


FAULT = Fault(
    name="disk-full",
    title="disk of Redis full",
    strike=strike,
    breaks=frozenset({Breaks.WRITES}),
    disk="8m",
)
