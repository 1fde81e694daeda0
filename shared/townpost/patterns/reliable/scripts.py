"""The scripts of the reliable queue."""

from townpost.patterns.scripts import Script

__all__ = [
    "ADOPT",
    "ATTEMPTS",
    "CLAIM",
    "FORWARD",
    "LOOK",
    "ONCE",
    "PUBLISH",
    "RECOVER",
    "RECOVER_WHEN_FULL",
    "RENEW",
    "SETTLE",
    "SETTLE_WHEN_FULL",
    "SPLIT",
]

ADOPT = Script("reliable/adopt.lua")
ATTEMPTS = Script("reliable/attempts.lua")
CLAIM = Script("reliable/claim.lua")
FORWARD = Script("reliable/forward.lua")
LOOK = Script("reliable/look.lua")
ONCE = Script("reliable/once.lua")
PUBLISH = Script("reliable/publish.lua")
RECOVER = Script("reliable/recover.lua")
RECOVER_WHEN_FULL = Script("reliable/recover.lua", when_full=True)
RENEW = Script("reliable/renew.lua")
SETTLE = Script("reliable/settle.lua")
SETTLE_WHEN_FULL = Script("reliable/settle.lua", when_full=True)
SPLIT = Script("reliable/split.lua")
