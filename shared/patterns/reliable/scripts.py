"""The scripts of the reliable queue."""

from shared.patterns.scripts import Script

__all__ = ["CLAIM", "ONCE", "PUBLISH", "RECOVER", "RENEW", "SETTLE"]

CLAIM = Script("reliable/claim.lua")
ONCE = Script("reliable/once.lua")
PUBLISH = Script("reliable/publish.lua")
RECOVER = Script("reliable/recover.lua")
RENEW = Script("reliable/renew.lua")
SETTLE = Script("reliable/settle.lua")
