"""Who takes part: how each is started, what it reads, what it promises, and which limit it is held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lab.bench.figures import NAIVE

__all__ = ["LIMIT", "Contestant", "against", "at_work", "drainers", "hearers", "limit", "naive", "townpost"]

LIMIT = {pattern: f"limit, {pattern}" for pattern in ("queue", "reliable", "stream", "pubsub")}

_QUICK_SHARE = 3.0
"""Of the messages of a drain, which they would be through in a third of a second."""
_AT_MOST = "at most once"
_PER_BATCH = "at least once, settled by batch"
PROMISES = {
    "queue": _AT_MOST,
    "pubsub": _AT_MOST,
    "reliable": _PER_BATCH,
    "stream": _PER_BATCH,
    "both": _AT_MOST,
    "all": "each as its own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One way to do the work."""

    name: str
    module: tuple[str, ...]
    """Of the consumer, with its arguments: ``python -m ...``."""
    promise: str
    pattern: str = ""
    """What is filled for it, in `Ground.fill`; empty: its own publisher does that."""
    publisher: tuple[str, ...] = ()
    """Its own, to be given ``COUNT SIZE RATE``."""
    limit: str = ""
    share: float = 1.0
    """Of the messages of a measure: the slow ones are not to take all the time."""
    rounds: int = 99
    """At most so many."""
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    """The interpreter, where it is not ours."""
    version: str = ""
    missing: str = ""
    """Why it cannot take part."""
    handlers: tuple[str, ...] = ()
    """Of these kinds, ``threads`` or ``async``, several can be at work at a time in one process."""
    uncounted: bool = False
    """Counts nothing itself: what is gone from its queue is taken for handled."""


def against(line: str, contestants: Sequence[Contestant]) -> list[Contestant]:
    """The same, held against this limit."""
    return [replace(contestant, limit=line) for contestant in contestants]


def naive(role: str = "queue", name: str = NAIVE) -> Contestant:
    return Contestant(
        name=name, module=("lab.bench.loops.naive", role), promise=_AT_MOST, pattern=role, limit=LIMIT[role], share=0.2
    )


def limit(pattern: str) -> Contestant:
    promise = f"{PROMISES[pattern]}; in no outage"
    return Contestant(
        name=LIMIT[pattern],
        module=("lab.bench.loops.limit", pattern),
        promise=promise,
        pattern=pattern,
        limit=LIMIT[pattern],
    )


def townpost(pattern: str, *, name: str = "", handler: str = "job", **environment: str) -> Contestant:
    """The service; without a handler it prints."""
    settings = {"PATTERN": pattern, **environment}
    if handler:
        settings["HANDLER"] = f"lab.bench.loops.handlers:{handler}"
    return Contestant(
        name=name or f"townpost {pattern}",
        module=("subscriber",),
        promise=PROMISES[pattern],
        pattern=pattern,
        limit=LIMIT.get(pattern, ""),
        environment=settings,
        uncounted=not handler,
        handlers=("threads", "async"),
    )


def at_work(contestant: Contestant, job: str, kind: str, at_once: int) -> Contestant:
    """The same with so many handlers of this kind at a time, which do this job."""
    setting = {"BENCH_JOB": job, "BENCH_KIND": kind, "BENCH_AT_ONCE": str(at_once)}
    if not contestant.python:
        name = "job_async" if kind == "async" else "job"
        setting |= {"HANDLER": f"lab.bench.loops.handlers:{name}", "CONCURRENCY": str(at_once)}
    return replace(
        contestant,
        name=f"{contestant.name}, {kind} x {at_once:,}",
        environment={**contestant.environment, **setting},
    )


def listening(pattern: str) -> Contestant:
    return Contestant(
        name=f"townpost listen('{pattern}')",
        module=("lab.bench.loops.townpost", "listen", pattern),
        promise=PROMISES[pattern],
        pattern=pattern,
        limit=LIMIT[pattern],
    )


def drainers() -> Sequence[Contestant]:
    """Who empties a queue."""
    durable = ("queue", "reliable", "stream")
    quick = (
        *(limit(pattern) for pattern in durable),
        *(townpost(pattern) for pattern in durable),
        townpost("queue", name="townpost queue, printing", handler=""),
        townpost("reliable", name="townpost reliable, printing", handler=""),
        townpost("reliable", name="townpost reliable, threads x 20", CONCURRENCY="20"),
        townpost("reliable", name="townpost reliable, async x 100", handler="nothing_async", CONCURRENCY="100"),
        listening("queue"),
        listening("reliable"),
    )
    return (naive(), *(replace(contestant, share=_QUICK_SHARE) for contestant in quick))


def hearers() -> Sequence[Contestant]:
    """Who listens to the channel."""
    return (naive("pubsub"), limit("pubsub"), townpost("pubsub"))
