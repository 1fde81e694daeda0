"""What a trial leaves behind besides journals: dead letters, keys in Redis, exit statuses and lines of the services."""

import json
import signal
from collections import Counter

from lab.trials.poison import POISONED, RAISED
from lab.trials.town import Town

_STAYS = -1
"""What TTL says of a key that has no time to live; the others go by themselves."""

__all__ = ["complaints", "dead", "ended_with", "left_in_redis"]


def dead(town: Town) -> set[str]:
    """The ids among the dead letters; what was unreadable has a number."""
    if not town.subject.redelivers:
        return set()
    found = set()
    for number, (_, fields) in enumerate(town.client.xrange(f"{{{town.subject.key}}}:dead") or []):
        try:
            message_id = str(json.loads((fields or {})[b"payload"])["id"])
        except (ValueError, TypeError, KeyError, RecursionError):
            message_id = ""
        found.add(message_id if message_id in town.records.attempted else f"unreadable-{number}")
    return found


def ended_with(town: Town, status: int) -> int:
    """How many processes of the consumers ended so."""
    return sum(each == status for member in town.consumers for each in member.statuses)


def complaints(town: Town) -> list[str]:
    """Lines in which one of Townpost's services owns to a bug, and exit statuses that nothing explains."""
    if not town.subject.ours:
        return []
    lines = (line for member in town.members for line in (*member.lines, *member.process.lines))
    found = [f"said: {line}" for line in lines if "bug in Townpost" in line or line.startswith("Traceback")]
    for member in town.members:
        statuses = Counter(status for status in member.statuses if status)
        statuses[-signal.SIGKILL] -= town.killed[member.name]
        if town.poison in town.records.attempted:
            del statuses[POISONED]
        if town.fault.loop:
            del statuses[RAISED]
        found += [f"{member.name} ended with status {status}" for status in (+statuses).elements()]
    return found


def left_in_redis(town: Town) -> list[str]:
    """What a pattern that redelivers keeps of messages that no consumer waits for any more."""
    if not (town.subject.ours and town.subject.redelivers):
        return []
    key = town.subject.key
    if town.subject.groups:
        groups = town.client.xinfo_groups(key)
        return [
            f"{group['pending']} pending, lag {group['lag']}" for group in groups if group["pending"] or group["lag"]
        ]
    if town.garbage is None:
        return []  # what another client wrote there is not ours to tidy
    mine = {name.decode() for name in town.client.keys("*") if isinstance(name, bytes)}
    kept = {name for name in mine if name == key or name.startswith(f"{{{key}}}:")} - {f"{{{key}}}:dead"}
    return sorted(name for name in kept if town.client.ttl(name) == _STAYS)
