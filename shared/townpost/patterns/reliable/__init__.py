"""reliable: registered mail. The letter is handed over against a receipt, or it goes out again.

Commands:      RPUSH from any client (a script for priorities, delays and a limit); BLMOVE to wait; claim.lua and
               settle.lua, one round trip for each batch; renew.lua, split.lua, recover.lua and forward.lua beside them.
Keys:          one list (RELIABLE_QUEUE) and its companions, {queue}:claim:*, :leases, :handoff, :priority, :scheduled,
               :suspects, :attempts, :crashes, :history, :counted, :dead (see keys.py), which are empty after a
               drain; and :forwarder and :bell, which live for seconds.
Guarantee:     stored until handled: at least once, to one of the listeners at a time. In order while nothing fails;
               retries, priorities and delays change places, and, where several listeners compete, what an overrunning
               batch gives back.
How it fails:  a message whose consumer died comes again after LEASE_SECONDS, one that always fails or kills ends among
               the dead letters. So a handler may see a message twice: make it idempotent, or set ONCE_SECONDS.
               What Redis itself forgets (no AOF) is gone.
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
