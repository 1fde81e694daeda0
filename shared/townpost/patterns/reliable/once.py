"""Finds by their ids which messages of a claim are new, where each id is handled once."""

from townpost.errors import UnreadableError
from townpost.keys import QueueKeys
from townpost.message import read
from townpost.patterns.reliable.claims import BusyError, Claim
from townpost.patterns.reliable.scripts import ONCE
from townpost.redis.connection import Connection

__all__ = ["mark_known"]

_DONE, _BUSY = 2, 3  # replies of once.lua


def mark_known(connection: Connection, keys: QueueKeys, claim: Claim, in_flight_ms: int) -> int:
    """Answer the messages that were handled before or are in flight elsewhere; return how many were handled before."""
    ids: dict[int, str] = {}
    for index, payload in enumerate(claim.payloads):
        try:
            ids[index] = str(read(payload, claim.max_bytes).id)
        except UnreadableError:
            continue
    first = {message_id: index for index, message_id in reversed(ids.items())}
    fresh = {index: message_id for message_id, index in first.items()}
    for index in ids.keys() - fresh.keys():
        claim.answered(index, BusyError("the same id comes twice in one batch"))
    if not fresh:
        return 0
    marks = [keys.once(message_id) for message_id in fresh.values()]
    verdicts = connection.call(*ONCE.command([keys.leases, *marks], claim.name, in_flight_ms))
    if not isinstance(verdicts, list):
        raise TypeError(f"once.lua answered {verdicts!r}")
    known = {index for index, verdict in zip(fresh, verdicts, strict=True) if verdict == _DONE}
    for index, verdict in zip(fresh, verdicts, strict=True):
        if verdict == _DONE:
            claim.answered(index, None)
        elif verdict == _BUSY:
            claim.answered(index, BusyError("another consumer is handling this id"))
    claim.once = {index: message_id for index, message_id in fresh.items() if index not in known}
    return len(known)
