"""idle: what a consumer without work costs Redis in commands, and this machine in CPU time.

Commands are counted as Redis does it, those inside scripts included; the bench's own question is taken off.
"""

import time
from collections.abc import Mapping

from lab.bench.child import FailedError
from lab.bench.contestants import Contestant, naive, townpost
from lab.bench.figures import Figure
from lab.bench.ground import Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["measure"]

_SECONDS = 4.5
_LEAST_SECONDS = 1.0


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    """One round: nothing happens, and nothing varies."""
    seconds = max(_LEAST_SECONDS, _SECONDS * min(extent.scale, 1))
    ours = [naive(), *(townpost(p) for p in ("queue", "reliable", "stream", "pubsub", "both"))]

    def run(contestant: Contestant) -> Mapping[str, float]:
        child = ground.consumer(contestant)
        ground.await_idle(child)
        commands, cpu, started = ground.info("total_commands_processed"), child.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - started
        if child.status is not None:
            raise FailedError(f"did not stay: {child.complaint()}")
        return {
            "commands": (ground.info("total_commands_processed") - commands - 1) / passed,
            "CPU": (child.cpu_seconds() - cpu) / passed * 1000,
            "RSS": child.peak_bytes() / 2**20,
        }

    quantities = [
        Quantity("commands", "a second", more_is_better=False),
        Quantity("CPU", "ms a second", more_is_better=False),
        Quantity("RSS", "MiB", more_is_better=False),
    ]
    return rotate("idle", quantities, [*ours, *extent.peers], 1, run, ground=ground, say=extent.say)
