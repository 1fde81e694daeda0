"""The scripts of the stream."""

from shared.patterns.scripts import Script

__all__ = ["RENEW", "SETTLE", "TIDY", "TRIM"]

RENEW = Script("stream/renew.lua")
SETTLE = Script("stream/settle.lua")
TIDY = Script("stream/tidy.lua")
TRIM = Script("stream/trim.lua")
