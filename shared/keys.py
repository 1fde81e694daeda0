"""The names of every key on Redis that is ours to name; nobody else joins strings into one.

The channel, the list and the stream that other clients share are named by the settings
CHANNEL, QUEUE, RELIABLE_QUEUE and STREAM and used as they are. Companions of a queue carry its name
as the hash tag, so that Redis Cluster keeps a list and its companions in one slot.
"""


def instances() -> str:
    """Sorted set: id of a running service -> when it last reported (seconds of Redis TIME)."""
    return "townpost:instances"


def instance(instance_id: str) -> str:
    """String with a time to live: the latest counts of one service, as JSON."""
    return f"townpost:instance:{instance_id}"
