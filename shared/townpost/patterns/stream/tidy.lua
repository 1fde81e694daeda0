#!lua flags=allow-oom
-- Removes consumers without pending entries: this one when it leaves, and those that died without leaving.
--
-- KEYS  1 stream
--       2 wake       stream       its entries carry no messages
-- ARGV  1 group
--       2 consumer   that leaves; empty for none
--       3 ms         without a sign of life
-- Returns how many were removed.

local removed = 0
for number, key in ipairs(KEYS) do
    local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
    for _, fields in ipairs(consumers.err and {} or consumers) do
        local consumer = {}
        for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
        local gone = consumer.name == ARGV[2] or consumer.idle > tonumber(ARGV[3])
        if gone and (consumer.pending == 0 or number > 1) then
            redis.call('XGROUP', 'DELCONSUMER', key, ARGV[1], consumer.name)
            removed = removed + 1
        end
    end
end
return removed
