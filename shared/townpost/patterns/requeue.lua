#!lua
-- Requeues dead letters of a list (stream/requeue.lua does it for a stream). Attempts and crashes start at 0; the history of
-- deaths is kept.
--
-- KEYS  1 origin     list
--       2 dead       stream
--       3 history    hash         SHA-1 -> earlier deaths, as JSON
--       4 counted    sorted set   which messages have counts -> when they last changed
-- ARGV  1 pattern    "reliable"
--       2 payload    replaces theirs; empty: unchanged
--       3.. ids of dead letters
-- Returns how many were found.

--#include reliable/common.lua

local origin, dead, history = KEYS[1], KEYS[2], KEYS[3]
local count = 0
for i = 3, #ARGV do
    local entry = redis.call('XRANGE', dead, ARGV[i], ARGV[i])[1]
    if entry then
        local dead_letter = {}
        for j = 1, #entry[2], 2 do dead_letter[entry[2][j]] = entry[2][j + 1] end
        local payload = ARGV[2] ~= '' and ARGV[2] or dead_letter.payload
        local readable, past = pcall(cjson.decode, dead_letter.history or '[]')
        if not readable or type(past) ~= 'table' then past = {} end
        past[#past + 1] = {
            id = entry[1], reason = dead_letter.reason, error = dead_letter.error,
            attempts = tonumber(dead_letter.attempts), crashes = tonumber(dead_letter.crashes), by = dead_letter.by,
        }
        local sum = identity(payload)
        mention(KEYS[4], sum, payload)
        redis.call('HSET', history, sum, cjson.encode(past))
        redis.call('RPUSH', origin, payload)
        redis.call('XDEL', dead, ARGV[i])
        count = count + 1
    end
end
if redis.call('XLEN', dead) == 0 then redis.call('DEL', dead) end
return count
