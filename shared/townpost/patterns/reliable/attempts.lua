#!lua
-- Reads how often the messages of a claim were tried before.
--
-- KEYS  1 claim      list
--       2 counted    sorted set   which messages have counts -> when they last changed
--       3 attempts   hash         SHA-1 -> how often its handler failed
--       4 crashes    hash         SHA-1 -> how often a consumer died with this message alone
-- Returns { position from 0, times, ... } for the messages that were tried.

--#include reliable/common.lua

local found = {}
if redis.call('ZCARD', KEYS[2]) == 0 then return found end
for i, payload in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    local sum = identity(payload)
    local times = whole(redis.call('HGET', KEYS[3], sum)) + whole(redis.call('HGET', KEYS[4], sum))
    if times > 0 then
        found[#found + 1] = i - 1
        found[#found + 1] = times
    end
end
return found
