"""The names of every key on Redis that is ours to name; nobody else joins strings into one.

The channel, the list and the stream that other clients share are named by the settings
CHANNEL, QUEUE, RELIABLE_QUEUE and STREAM and used as they are. Companions of a queue carry its name
as the hash tag, so that Redis Cluster keeps a list and its companions in one slot.
"""


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


def _companion(queue: str, part: str) -> str:
    return f"{queue if has_tag(queue) else f'{{{queue}}}'}:{part}"


def handoff(queue: str) -> str:
    """List: at most one message for each waking consumer, on its way into a claim."""
    return _companion(queue, "handoff")


def claim(queue: str, consumer: str, number: int, *, ahead: bool = False) -> str:
    """List: one batch being handled, or (ahead) the next one of a consumer that has another in hand."""
    return _companion(queue, f"claim:{consumer}:{number}{':ahead' if ahead else ''}")


def leases(queue: str) -> str:
    """Sorted set: claim -> deadline (ms of Redis TIME)."""
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


def once(queue: str, message_id: str) -> str:
    """String with a time to live: the claim that is handling a message once, or that it is done."""
    return _companion(queue, f"once:{message_id}")
