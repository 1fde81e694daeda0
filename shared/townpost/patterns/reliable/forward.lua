#!lua flags=allow-oom
-- Promotes messages that are due, and forgets counts that did not change for long. One consumer runs it for all.
--
-- KEYS  1 queue      list         ready messages
--       2 priority   sorted set   urgent messages
--       3 scheduled  sorted set   messages by due time
--       4 forwarder  string       the consumer that runs this
--       5 counted    sorted set   which messages have counts -> when they last changed
--       6 attempts   hash         SHA-1 -> how often its handler failed
--       7 crashes    hash         SHA-1 -> how often a consumer died with this message alone
--       8 history    hash         SHA-1 -> earlier deaths
--       9 bell       list         wakes the forwarder
-- ARGV  1 consumer   its name
--       2 forward    ms after which another consumer may be elected
--       3 bytes      promoted in one run
--       4 remember   ms that counts are kept without a change
-- Returns ms until the next message is due, -1 when none is scheduled, -2 when another consumer is the forwarder.

--#include reliable/common.lua

local queue, priority, scheduled, forwarder, counted = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PROMOTE, FORGET = 1000, 100

local holder = redis.call('GET', forwarder)
if holder and holder ~= ARGV[1] then
    ring(KEYS[9]) -- it may have been for the other
    return -2
end
redis.call('SET', forwarder, ARGV[1], 'PX', ARGV[2])

for _, member in ipairs(redis.call('ZRANGE', counted, '-inf', now - ARGV[4], 'BYSCORE', 'LIMIT', 0, FORGET)) do
    for i = 6, 8 do redis.call('HDEL', KEYS[i], string.sub(member, 1, 40)) end
    redis.call('ZREM', counted, member)
end

promote(queue, priority, scheduled, PROMOTE, tonumber(ARGV[3]))
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
if not first then return -1 end
return math.ceil(math.max(0, math.min(tonumber(first) - now, 3600000)))
