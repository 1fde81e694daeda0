"""The names of every key on Redis that is ours to name; nobody else joins strings into one.

The channel, the list and the stream that other clients share are named by the settings
CHANNEL, QUEUE, RELIABLE_QUEUE and STREAM and used as they are. Companions of a queue carry its name
as the hash tag, so that Redis Cluster keeps a list and its companions in one slot.
"""

import functools

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


@functools.lru_cache(maxsize=256)
def _tagged(queue: str) -> str:
    return queue if has_tag(queue) else f"{{{queue}}}"


def _companion(queue: str, part: str) -> str:
    return f"{_tagged(queue)}:{part}"


def handoff(queue: str) -> str:
    """List: at most one message for each waking consumer, on its way into a claim."""
    return _companion(queue, "handoff")


def claim(queue: str, consumer: str, number: int, *, ahead: bool = False) -> str:
    """List: one batch being handled, or (ahead) the next one of a consumer that has another in hand."""
    return _companion(queue, f"claim:{consumer}:{number}{AHEAD if ahead else ''}")


def claims(queue: str) -> str:
    """No key, but how that of every claim of this queue starts."""
    return _companion(queue, "claim:")


def leases(queue: str) -> str:
    """Sorted set: claim -> deadline (ms of Redis TIME, and a half when it was seen to run out); so the handoff, for a
    moment, while something lies there.
    """
    return _companion(queue, "leases")


def priority(queue: str) -> str:
    """Sorted set: urgent messages, by level, then by time."""
    return _companion(queue, "priority")


def scheduled(queue: str) -> str:
    """Sorted set: delayed messages and retries, by due time (ms of Redis TIME)."""
    return _companion(queue, "scheduled")


def suspects(queue: str) -> str:
    """List: messages recovered from a crashed consumer, to be handed out one by one."""
    return _companion(queue, "suspects")


def attempts(queue: str) -> str:
    """Hash: SHA-1 of a message -> how often its handler failed."""
    return _companion(queue, "attempts")


def crashes(queue: str) -> str:
    """Hash: SHA-1 of a message -> how often its consumer died with it alone."""
    return _companion(queue, "crashes")


def history(queue: str) -> str:
    """Hash: SHA-1 of a requeued message -> its earlier deaths, as JSON."""
    return _companion(queue, "history")


def dead(queue: str) -> str:
    """Stream: dead letters of a queue or a stream."""
    return _companion(queue, "dead")


def counted(queue: str) -> str:
    """Sorted set: messages that have attempts, crashes or a history -> when these last changed (ms of Redis TIME)."""
    return _companion(queue, "counted")


def forwarder(queue: str) -> str:
    """String with a time to live: the consumer that promotes what falls due, for all."""
    return _companion(queue, "forwarder")


def bell(queue: str) -> str:
    """List with a time to live: wakes the forwarder when something is due before what it waits for."""
    return _companion(queue, "bell")


def retries(stream: str, group: str) -> str:
    """Sorted set: ids, padded, of entries that nobody has in hand, by due time: retries, and what was given back."""
    return _companion(stream, f"retries:{group}")


def wake(stream: str, group: str) -> str:
    """Stream of at most one entry: whichever waiting member of the group reads it looks after the retries."""
    return _companion(stream, f"wake:{group}")


def deaths(stream: str, group: str) -> str:
    """Hash: requeued entry of a stream -> its earlier deaths in this group, as JSON."""
    return _companion(stream, f"deaths:{group}")


def once(queue: str, message_id: str) -> str:
    """String with a time to live: the claim that is handling a message once, or that it is done."""
    return _companion(queue, f"once:{message_id}")


def types(queue: str) -> dict[str, str]:
    """Every companion of a reliable queue that has one name, with the type that it must have."""
    wanted = {
        "list": (handoff, suspects, bell),
        "zset": (leases, priority, scheduled, counted),
        "hash": (attempts, crashes, history),
        "stream": (dead,),
        "string": (forwarder,),
    }
    return {name(queue): kind for kind, names in wanted.items() for name in names}


def stream_types(stream: str, group: str) -> dict[str, str]:
    """The same of a stream and one of its groups."""
    return {
        retries(stream, group): "zset",
        wake(stream, group): "stream",
        deaths(stream, group): "hash",
        dead(stream): "stream",
    }
