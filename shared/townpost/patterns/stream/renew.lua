#!lua flags=allow-oom
-- Shows that a member is alive, and tells how many entries of a batch it still holds: what was taken from it stays taken.
--
-- KEYS  1 stream
-- ARGV  1 group
--       2 consumer
--       3 first id of the batch
--       4 last id
--       5 how many there are at most
-- Returns how many there were.
--
-- The lease is the member's: what it has read is its own while the time since its last sign of life (XINFO CONSUMERS,
-- idle) is shorter. To claim its own is such a sign, and restarts the idle time of each entry as well, which is what other
-- programs go by.

local CHUNK = 1000 -- unpack fails at about 8,000 values

local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[2])
for start = 1, #held, CHUNK do
    local ids = {}
    for i = start, math.min(start + CHUNK - 1, #held) do ids[#ids + 1] = held[i][1] end
    ids[#ids + 1], ids[#ids + 2], ids[#ids + 3] = 'IDLE', 0, 'JUSTID'
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(ids))
end
return #held
