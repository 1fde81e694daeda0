"""The inspector of each pattern."""

from collections.abc import Callable

from townpost.patterns.inspection import Inspector
from townpost.patterns.pubsub_inspect import PubsubInspector
from townpost.patterns.queue_inspect import QueueInspector
from townpost.patterns.reliable.inspect import ReliableInspector
from townpost.patterns.stream.inspect import StreamInspector

__all__ = ["inspector"]

_INSPECTORS: dict[str, Callable[[str, str, float], Inspector]] = {
    "pubsub": lambda name, _group, _lease: PubsubInspector(name),
    "queue": lambda name, _group, _lease: QueueInspector(name),
    "reliable": lambda name, _group, _lease: ReliableInspector(name),
    "stream": StreamInspector,
}


def inspector(pattern: str, name: str, *, group: str, lease_seconds: float) -> Inspector:
    """Answers questions about the channel, list or stream of this name.

    Args:
        pattern: one of `PATTERNS`.
        name: of the channel, list or stream.
        group: whose retries and entries in flight are meant, where there are groups.
        lease_seconds: of its consumers: when their retries on a stream are due follows from it.
    """
    return _INSPECTORS[pattern](name, group, lease_seconds)
