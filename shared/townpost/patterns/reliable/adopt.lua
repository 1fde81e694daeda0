#!lua flags=allow-oom
-- Moves the message that woke this consumer from the handoff into a claim of its own, under a lease. The consumer sends it
-- together with the BLMOVE that waits. It takes one message only; the next claim takes what else waits.
--
-- KEYS  1 handoff    list         one message for each consumer that is waking up
--       2 claim      list         the batch of one; must not exist
--       3 leases     sorted set   claim -> deadline; the handoff, while it is not empty
-- ARGV  1 lease      ms
--       2 longest    bytes; of a longer message only the size is returned
-- Returns { payload, or size if it is too long }; empty when no message came or another consumer has it.

local handoff, claim, leases = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', handoff) == 0 then return {} end -- nothing is written when the time was up

local time = redis.call('TIME')
redis.call('ZADD', leases, time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1], claim) -- before what it is for
local payload = redis.call('LMOVE', handoff, claim, 'LEFT', 'RIGHT')
if redis.call('EXISTS', handoff) == 0 then redis.call('ZREM', leases, handoff) end
return { #payload <= tonumber(ARGV[2]) and payload or #payload }
