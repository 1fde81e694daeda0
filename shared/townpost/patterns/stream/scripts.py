"""The scripts of the stream."""

from townpost.patterns.scripts import Script

__all__ = ["FREE", "GROUPS", "RENEW", "REQUEUE", "SETTLE", "TAKE", "TIDY", "TRIM", "WAITING"]

FREE = Script("stream/free.lua")
GROUPS = Script("stream/groups.lua")
RENEW = Script("stream/renew.lua")
REQUEUE = Script("stream/requeue.lua")
SETTLE = Script("stream/settle.lua")
TAKE = Script("stream/take.lua")
TIDY = Script("stream/tidy.lua")
TRIM = Script("stream/trim.lua")

WAITING = b"waiting"
"""The member in whose name waiting entries are pending: retries, and those that were given back."""
