#!lua flags=allow-oom
-- Extends the lease of claims that are still held. Costs the same for a claim of one message and of a thousand.
--
-- KEYS  1 leases     sorted set   claim -> deadline
-- ARGV  1 lease      ms
--       2.. claims
-- Returns the names of expired claims, those of others, for recovery.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #ARGV do
    redis.call('ZADD', KEYS[1], 'XX', 'GT', now + ARGV[1], ARGV[i])
end
return redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, 4)
