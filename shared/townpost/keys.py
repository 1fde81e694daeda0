"""The names of all keys that we name. No other module builds a key name from strings.

The channel, the list and the stream that other clients share are named by the settings
CHANNEL, QUEUE, RELIABLE_QUEUE and STREAM and used as they are. Companions of a queue carry its name
as the hash tag, so that Redis Cluster keeps a list and its companions in one slot.
"""

import functools
from dataclasses import dataclass

AHEAD = ":ahead"
"""The end of the name of a claim that was made while another one was handled."""


def instances() -> str:
    """Sorted set: id of a running service -> when it last reported (seconds of Redis TIME)."""
    return "townpost:instances"


def ended() -> str:
    """Sorted set with a time to live: id of a service that has just ended -> when."""
    return "townpost:ended"


def instance(instance_id: str) -> str:
    """String with a time to live: the latest counts of one service, as JSON."""
    return f"townpost:instance:{instance_id}"


def has_tag(name: str) -> bool:
    """Whether Redis Cluster hashes only a part of this name: what stands in its first braces, if that is anything."""
    start = name.find("{")
    return start >= 0 and name.find("}", start + 1) > start + 1


def _tagged(queue: str) -> str:
    return queue if has_tag(queue) else f"{{{queue}}}"


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys beside one queue; each shares its slot of a Cluster."""

    queue: str
    """List: the queue itself."""
    handoff: str
    """List: at most one message for each waking consumer, on its way into a claim."""
    claims: str
    """No key, but how that of every claim of this queue starts."""
    leases: str
    """Sorted set: claim -> deadline (ms of Redis TIME; plus a half once it was marked as about to expire). The handoff
    is in it, too, while it is not empty.
    """
    priority: str
    """Sorted set: urgent messages, by level, then by time."""
    scheduled: str
    """Sorted set: delayed messages and retries, by due time (ms of Redis TIME)."""
    suspects: str
    """List: messages recovered from a crashed consumer, which are delivered one by one."""
    attempts: str
    """Hash: SHA-1 of a message -> how often its handler failed."""
    crashes: str
    """Hash: SHA-1 of a message -> how often a consumer died with this message alone."""
    history: str
    """Hash: SHA-1 of a requeued message -> its earlier deaths, as JSON."""
    dead: str
    """Stream: dead letters of a queue or a stream."""
    counted: str
    """Sorted set: messages that have attempts, crashes or a history -> when these last changed (ms of Redis TIME)."""
    forwarder: str
    """String with a time to live: the consumer that promotes due messages for all."""
    bell: str
    """List with a time to live: wakes the forwarder when a message is due before the one it waits for."""

    def claim(self, consumer: str, number: int, *, ahead: bool = False) -> str:
        """List: one batch in flight, or (ahead) the next one of a consumer that has another in flight."""
        return f"{self.claims_of(consumer)}{number}{AHEAD if ahead else ''}"

    def claims_of(self, consumer: str) -> str:
        """No key, but how that of every claim of this consumer starts."""
        return f"{self.claims}{consumer}:"

    def once(self, message_id: str) -> str:
        """String with a time to live: the claim that is handling a message once, or that it is done."""
        return f"{_tagged(self.queue)}:once:{message_id}"


@functools.lru_cache(maxsize=256)
def of(queue: str) -> QueueKeys:
    """The keys beside this queue or stream."""
    tagged = _tagged(queue)
    return QueueKeys(
        queue,
        handoff=f"{tagged}:handoff",
        claims=f"{tagged}:claim:",
        leases=f"{tagged}:leases",
        priority=f"{tagged}:priority",
        scheduled=f"{tagged}:scheduled",
        suspects=f"{tagged}:suspects",
        attempts=f"{tagged}:attempts",
        crashes=f"{tagged}:crashes",
        history=f"{tagged}:history",
        dead=f"{tagged}:dead",
        counted=f"{tagged}:counted",
        forwarder=f"{tagged}:forwarder",
        bell=f"{tagged}:bell",
    )


def retries(stream: str, group: str) -> str:
    """Sorted set: padded ids of waiting entries by due time: retries, and those that were given back."""
    return f"{_tagged(stream)}:retries:{group}"


def wake(stream: str, group: str) -> str:
    """Stream of at most one entry: the waiting member of the group that reads it watches the retries."""
    return f"{_tagged(stream)}:wake:{group}"


def deaths(stream: str, group: str) -> str:
    """Hash: requeued entry of a stream -> its earlier deaths in this group, as JSON."""
    return f"{_tagged(stream)}:deaths:{group}"


def types(queue: str) -> dict[str, str]:
    """Every key beside a reliable queue that has one name, with the type that it must have."""
    k = of(queue)
    lists = (k.handoff, k.suspects, k.bell)
    sorted_sets = (k.leases, k.priority, k.scheduled, k.counted)
    hashes = (k.attempts, k.crashes, k.history)
    return (
        dict.fromkeys(lists, "list")
        | dict.fromkeys(sorted_sets, "zset")
        | dict.fromkeys(hashes, "hash")
        | {k.dead: "stream", k.forwarder: "string"}
    )


def stream_types(stream: str, group: str) -> dict[str, str]:
    """The same of a stream and one of its groups."""
    return {
        retries(stream, group): "zset",
        wake(stream, group): "stream",
        deaths(stream, group): "hash",
        of(stream).dead: "stream",
    }
