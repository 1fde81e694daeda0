#!lua flags=allow-oom
-- Removes consumers that hold nothing: this one when it leaves, and those that were never seen to leave.
--
-- KEYS  1 stream
-- ARGV  1 group
--       2 consumer   that leaves; empty for none
--       3 ms         without a sign of life
-- Returns how many were removed.

local removed = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
    if consumer.pending == 0 and (consumer.name == ARGV[2] or consumer.idle > tonumber(ARGV[3])) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
        removed = removed + 1
    end
end
return removed
