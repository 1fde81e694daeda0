#!lua flags=allow-oom
-- Extends the leases of claims that are still held. The cost is the same for a claim of one message and of a thousand.
--
-- KEYS  1 leases     sorted set   claim -> deadline
-- ARGV  1 lease      ms
--       2 grace      ms: see `overdue`
--       3.. claims
-- Returns { names of expired claims of others, for recovery; names of these claims that are lost }.

--#include reliable/common.lua

local leases, lease = KEYS[1], tonumber(ARGV[1])
local lost = {}
for i = 3, #ARGV do
    if redis.call('ZSCORE', leases, ARGV[i]) then
        redis.call('ZADD', leases, 'XX', now + lease, ARGV[i])
    else
        lost[#lost + 1] = ARGV[i]
    end
end
return { (overdue(leases, lease, tonumber(ARGV[2]))), lost }
