#!lua flags=allow-oom
-- Shows that a member is alive, and counts how many entries of a batch it still holds. It takes back no lost entry.
--
-- KEYS  1 stream
-- ARGV  1 group
--       2 consumer
--       3 first id of the batch
--       4 last id
--       5 how many there are at most
-- Returns how many there were.
--
-- The lease belongs to the member: it keeps its entries while the time since its last sign of life (XINFO CONSUMERS,
-- idle) is shorter than the lease. Claiming its own entries is such a sign. It also restarts the idle time of each entry,
-- which other programs use.

local CHUNK = 1000 -- unpack fails at about 8,000 values

local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[2])
for start = 1, #held, CHUNK do
    local ids = {}
    for i = start, math.min(start + CHUNK - 1, #held) do ids[#ids + 1] = held[i][1] end
    ids[#ids + 1], ids[#ids + 2], ids[#ids + 3] = 'IDLE', 0, 'JUSTID'
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(ids))
end
return #held
