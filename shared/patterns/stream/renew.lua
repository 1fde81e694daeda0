#!lua flags=allow-oom
-- Restarts the idle time of what this consumer still holds; what was taken from it stays taken.
--
-- KEYS  1 stream
-- ARGV  1 group
--       2 consumer
--       3 first id of the batch
--       4 last id
--       5 how many there are at most
-- Returns how many there were.

local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[2])
for _, entry in ipairs(held) do
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry[1], 'IDLE', 0, 'JUSTID')
end
return #held
