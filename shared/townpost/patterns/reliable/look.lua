#!lua flags=allow-oom
-- Looks up a claim whose reply was lost, and renews its lease if it was made.
--
-- KEYS  1 claim      list
--       2 leases     sorted set   claim -> deadline
-- ARGV  1 longest    bytes; of a longer message only the size is returned
--       2 lease      ms
-- Returns { payload, or size if it is too long... }; empty when it was not made, or another consumer has recovered it.

if not redis.call('ZSCORE', KEYS[2], KEYS[1]) then return {} end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], 'XX', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], KEYS[1])
local payloads = redis.call('LRANGE', KEYS[1], 0, -1)
for i, payload in ipairs(payloads) do
    if #payload > tonumber(ARGV[1]) then payloads[i] = #payload end
end
return payloads
