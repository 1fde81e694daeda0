"""publish: one at a time and in bulk; time runs from the first acknowledged message to the last.

Loops of ours make and serialise every message, as a user's would; peers are given prepared ones, and so is ours that
is called prepared. The publisher service is watched by the length of its queue.
"""

from collections.abc import Mapping, Sequence

from lab.bench.contestants import Contestant, against
from lab.bench.figures import NAIVE, Figure
from lab.bench.ground import KEYS, Ground
from lab.bench.measures.extent import Extent
from lab.bench.rotation import Quantity, rotate

__all__ = ["measure"]

_BULK = 30_000
_ONE = 3_000
_BATCH = 500
_LOOPS = "lab.bench.loops"
_LIMIT = "limit, variadic RPUSH"
_LIMIT_ONE = "limit, one RPUSH at a time"


def _publisher(
    name: str, module: Sequence[str], limit: str, *, share: float = 1.0, uncounted: bool = False
) -> Contestant:
    promise = "acknowledged by Redis"
    if module[0].startswith("lab"):
        module = (f"{_LOOPS}.{module[0].removeprefix('lab ')}", *module[1:])
    return Contestant(
        name=name, module=(), publisher=tuple(module), promise=promise, limit=limit, share=share, uncounted=uncounted
    )


def _bulk() -> Sequence[Contestant]:
    publishers = [
        _publisher(NAIVE, ("lab naive", "publish"), _LIMIT, share=0.1),
        _publisher("naive loop, channel and list", ("lab naive", "publish-both"), "limit, both", share=0.1),
        _publisher(_LIMIT, ("lab limit", "publish"), _LIMIT),
        _publisher("limit, XADD", ("lab limit", "publish-stream"), "limit, XADD"),
        _publisher("limit, PUBLISH", ("lab limit", "publish-pubsub"), "limit, PUBLISH"),
        _publisher("limit, both", ("lab limit", "publish-both"), "limit, both"),
    ]
    limits = {
        "queue": _LIMIT,
        "reliable": _LIMIT,
        "stream": "limit, XADD",
        "pubsub": "limit, PUBLISH",
        "both": "limit, both",
    }
    ours = [_publisher(f"townpost {p}", ("lab townpost", "publish", p), line) for p, line in limits.items()]
    prepared = _publisher("townpost queue, prepared", ("lab townpost", "publish-prepared", "queue"), _LIMIT)
    service = _publisher(
        "townpost queue, service",
        ("publisher", "--pattern", "queue", "--interval", "0", "--count"),
        _LIMIT,
        uncounted=True,
    )
    return [*publishers, *ours, prepared, service]


def _one_by_one() -> Sequence[Contestant]:
    return [
        _publisher(NAIVE, ("lab naive", "publish"), _LIMIT_ONE),
        _publisher("bare RPUSH loop", ("lab naive", "publish-prepared"), _LIMIT_ONE),
        _publisher(_LIMIT_ONE, ("lab limit", "publish-one"), _LIMIT_ONE),
        _publisher("townpost queue", ("lab townpost", "publish-one", "queue"), _LIMIT_ONE),
        _publisher("townpost both", ("lab townpost", "publish-one", "both"), _LIMIT_ONE),
    ]


def measure(ground: Ground, extent: Extent) -> list[Figure]:
    peers = [peer for peer in extent.peers if peer.publisher or peer.missing]

    def publishing(usual: int, batch: int, contestant: Contestant) -> Mapping[str, float]:
        count = extent.messages(int(usual * contestant.share), least=4 * batch)
        return {"publish": _rate(ground, contestant, count, batch)}

    figures = []
    for name, usual, batch, ours, line in (
        ("publish, bulk", _BULK, _BATCH, _bulk(), _LIMIT),
        ("publish, one at a time", _ONE, 1, _one_by_one(), _LIMIT_ONE),
    ):
        figures += rotate(
            name,
            [Quantity("publish", "msg/s")],
            [*ours, *against(line, peers)],
            extent.rounds,
            lambda contestant, usual=usual, batch=batch: publishing(usual, batch, contestant),  # type: ignore[misc]  # bound now
            ground=ground,
            say=extent.say,
        )
    return figures


def _rate(ground: Ground, contestant: Contestant, count: int, batch: int) -> float:
    ours = not contestant.python and contestant.publisher[0] in (
        "publisher",
        *(f"{_LOOPS}.{name}" for name in ("naive", "limit", "townpost")),
    )
    arguments = (str(count),) if ours else (str(count), str(batch), "0")

    def length() -> int:
        reply = ground.connection.call("LLEN", KEYS["queue"])
        return reply if isinstance(reply, int) else 0

    progress = length if contestant.uncounted else None
    child = ground.start((*contestant.publisher, *arguments), python=contestant.python)
    return ground.timed(count, child, progress=progress).rate
