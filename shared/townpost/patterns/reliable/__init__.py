"""reliable: a message stays in Redis, under a lease, until it is acknowledged.

Commands:      RPUSH from any client (a script for priorities, delays and a limit); BLMOVE to wait; claim.lua and
               settle.lua, one round trip for each batch; renew.lua, split.lua, recover.lua and forward.lua beside them.
Keys:          one list (RELIABLE_QUEUE) and its companions, {queue}:claim:*, :leases, :handoff, :priority, :scheduled,
               :suspects, :attempts, :crashes, :history, :counted, :dead (see keys.py), which are empty after a
               drain; and :forwarder and :bell, which live for seconds.
Guarantee:     stored until handled: at least once, to one of the listeners at a time. In order while nothing fails;
               retries, priorities and delays change places, and, where several listeners compete, what an overrunning
               batch gives back.
How it fails:  a message whose consumer died is delivered again after LEASE_SECONDS; one that always fails, or kills its
               consumer, becomes a dead letter. A handler may therefore get a message twice: make it idempotent, or set
               ONCE_SECONDS. What Redis loses in a crash (without AOF) is lost.
Use when:      each message must be handled, whatever crashes.
"""

from townpost.patterns.contract import Guarantees, Pattern
from townpost.patterns.reliable.listener import ReliableListener
from townpost.patterns.reliable.sender import ReliableSender

__all__ = ["RELIABLE"]

GUARANTEES = Guarantees(
    durable=True,
    redelivers=True,
    fan_out=False,
    ordered=True,
    replays=False,
    groups=False,
    schedules=True,
    remembers=True,
)

RELIABLE = Pattern("reliable", "reliable", "RELIABLE_QUEUE", GUARANTEES, ReliableSender, ReliableListener)
