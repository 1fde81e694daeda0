"""scaling: 1, 2 and 4 subscriber processes on one queue; whether they share slow work fairly; CPU-bound work.

All of them are up and stopped (SIGSTOP) when the queue is filled, and go on together. ``fairness`` is what the one
with the least has handled, of what the one with the most has, with a handler that takes 2 ms.

``computing`` is a handler that only computes, for some milliseconds: time runs once every process has handled one. Ours
are the children of one command (PROCESSES), the peers' are workers started beside each other, as their users would.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lab.bench.contestants import LIMIT, Contestant, against, limit, naive, townpost
from lab.bench.figures import NAIVE, Figure
from lab.bench.ground import Ground
from lab.bench.measures.drain import filled
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["measure"]

_MESSAGES = 60_000
_SLOW_MESSAGES = 1_600
_COMPUTING = ("celery", "dramatiq", "rq")
_COMPUTING_MESSAGES = 4_000
_COMPUTING_SECONDS = 3.0


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    processes = {NAIVE: 1, LIMIT["queue"]: 1}
    contestants: list[Contestant] = [naive(), limit("queue")]
    for pattern in ("queue", "reliable", "stream"):
        for number in (1, 2, 4):
            contestant = townpost(pattern, name=f"townpost {pattern} x {number}")
            contestants += against(LIMIT["queue"], [contestant])
            processes[contestant.name] = number

    def run(contestant: Contestant) -> Mapping[str, float]:
        count = extent.messages(int(_MESSAGES * contestant.share))
        rate, _ = _shared(ground, contestant, processes[contestant.name], count)
        return {"together": rate}

    figures = _together("scaling", contestants, run, ground, extent)
    slow = [townpost(p, name=f"townpost {p} x 4", BENCH_JOB="wait 0.002") for p in ("queue", "reliable", "stream")]

    def fair(contestant: Contestant) -> Mapping[str, float]:
        _, each = _shared(ground, contestant, 4, extent.messages(_SLOW_MESSAGES, least=400))
        return {"fairness": min(each) / max(each)}

    quantity = Quantity("fairness", "least of most")
    figures += rotate("sharing", [quantity], slow, 1, fair, ground=ground, say=extent.say)
    return figures + _computing(ground, extent)


def _computing(ground: Ground, extent: Extent) -> list[Figure]:
    """Each is held against itself in one process."""
    processes: dict[str, int] = {}
    contestants: list[Contestant] = []
    for each in (
        townpost("reliable"),
        *(p for p in extent.peers if p.name.startswith(_COMPUTING) and (p.missing or p.name.endswith("tuned"))),
    ):
        for number in (1, 2):
            name = f"{each.name} x {number}"
            processes[name] = number
            environment = {**each.environment, "BENCH_JOB": "compute", "PROCESSES": str(number)}
            contestants.append(replace(each, name=name, environment=environment, limit=f"{each.name} x 1"))

    def run(contestant: Contestant) -> Mapping[str, float]:
        number = processes[contestant.name]
        count = extent.messages(_COMPUTING_MESSAGES)
        filled(ground, contestant, count)
        children = [ground.consumer(contestant) for _ in range(number if contestant.python else 1)]

        def progress() -> int:
            each = [done for done in ground.tally.each if done]
            return sum(each) if len(each) == number else 0

        return {"together": ground.timed(count, children[0], progress=progress, within=_COMPUTING_SECONDS).rate}

    return _together("computing", contestants, run, ground, extent)


def _together(
    name: str,
    contestants: Sequence[Contestant],
    run: Callable[[Contestant], Mapping[str, float]],
    ground: Ground,
    extent: Extent,
) -> list[Figure]:
    """The rate of all processes of a contestant."""
    quantities = [Quantity("together", "msg/s")]
    return rotate(name, quantities, contestants, min(extent.rounds, 2), run, ground=ground, say=extent.say)


def _shared(ground: Ground, contestant: Contestant, processes: int, count: int) -> tuple[float, Sequence[int]]:
    """Messages a second together, and how many each has handled."""
    children = [ground.consumer(contestant) for _ in range(processes)]
    each = 2 if contestant.name.startswith("townpost") else 1  # one to work and one to report
    ground.await_idle(children[0], connections=each * processes)
    for child in children:
        child.signal(signal.SIGSTOP)
    ground.fill(contestant.pattern, count)
    for child in children:
        child.signal(signal.SIGCONT)
    return ground.timed(count, children[0]).rate, ground.tally.each
