"""Which peers there are, and in which settings each runs; data only, since our interpreter need not have them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lab.bench import venvs
from lab.bench.contestants import Contestant

__all__ = ["peers"]

_AT_MOST = "at most once"
_PER_MESSAGE = "at least once, settled one by one"
_PER_BATCH = "at least once, settled by batch"
_THREADS, _ASYNC = ("threads",), ("async",)
_BOTH = _THREADS + _ASYNC


@dataclass(frozen=True, slots=True)
class _Peer:
    adapter: str
    package: str
    environment: str
    """Of `venvs`: those that cannot live together have one each."""
    variants: dict[str, str]
    """Promise by variant."""
    share: float
    """Of the messages of a measure."""
    plain: float = 1.0
    """Of those, in the setting that is not tuned."""
    handlers: tuple[str, ...] = _ASYNC


_PEERS = (
    _Peer(
        "faststream",
        "faststream",
        "bench",
        {
            "list": _AT_MOST,
            "listbatch": _AT_MOST,
            "channel": _AT_MOST,
            "stream": _PER_MESSAGE,
            "streambatch": _PER_BATCH,
        },
        0.1,
        0.5,
        _BOTH,
    ),
    _Peer("taskiq", "taskiq", "bench", {"list": _AT_MOST, "stream": _PER_MESSAGE}, 0.02, handlers=_BOTH),
    _Peer("saq", "saq", "saq", {"": _PER_MESSAGE}, 0.02),
    _Peer("arq", "arq", "arq", {"": _PER_MESSAGE}, 0.01),
    _Peer("dramatiq", "dramatiq", "bench", {"": _PER_MESSAGE}, 0.04, handlers=_BOTH),
    _Peer("huey", "huey", "bench", {"": _AT_MOST}, 0.03, handlers=_THREADS),
    _Peer("rq", "rq", "bench", {"": "a crash leaves it among the failed"}, 0.006, 0.25, ()),
    _Peer("celery", "celery", "bench", {"": f"{_AT_MOST} (acknowledges first)"}, 0.012, handlers=_THREADS),
    _Peer("streaq", "streaq", "bench", {"": _PER_MESSAGE}, 0.012, handlers=_BOTH),
    _Peer("bullmq", "bullmq", "bench", {"": _PER_MESSAGE}, 0.02),
    _Peer("ardiq", "ardiq", "ardiq", {"": _PER_MESSAGE}, 0.2, handlers=_BOTH),
)
_BATCHES = 3
"""Whoever takes batches of 500 needs more messages to be timed."""
_ROUNDS = 2
"""Of three: so many of them take their time."""
_NAMES = {"listbatch": "list batch", "streambatch": "stream batch"}


def peers(say: Callable[[str], None], names: Sequence[str]) -> list[Contestant]:
    """Each in its recommended and its best setting; one that cannot be had says why in its row."""
    found: list[Contestant] = []
    for peer in _PEERS:
        if names and not peer.adapter.startswith(tuple(names)):
            continue
        python, version, missing = venvs.ready(peer.environment, peer.package, say)
        found += _contestants(peer, python, version, missing)
    return found


def _contestants(peer: _Peer, python: str, version: str, missing: str) -> Iterator[Contestant]:
    for variant, promise in peer.variants.items():
        channel = variant == "channel"
        handlers = () if channel or variant.endswith("batch") else peer.handlers
        if missing:
            name = " ".join(filter(None, (peer.adapter, _NAMES.get(variant, variant))))
            yield Contestant(name=name, module=(), promise=promise, missing=missing, handlers=handlers)
            continue
        for how in ("plain", "tuned"):
            name = f"{' '.join(filter(None, (peer.adapter, _NAMES.get(variant, variant))))}, {how}"
            command = ("lab.bench.peers", peer.adapter, f"{variant}-{how}")
            yield Contestant(
                name=name,
                module=(*command, "work"),
                publisher=(*command, "publish"),
                promise=promise,
                pattern="pubsub" if channel else "",
                share=_share(peer, variant, how),
                rounds=_ROUNDS,
                python=python,
                version=f"{peer.package} {version}",
                handlers=handlers,
            )


def _share(peer: _Peer, variant: str, how: str) -> float:
    if how == "plain":
        return peer.share * peer.plain
    return peer.share * (_BATCHES if variant.endswith("batch") else 1)
