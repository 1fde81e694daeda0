#!lua
-- Adds messages to a queue, with a level, a delay and a limit.
--
-- KEYS  1 queue      list         ready messages
--       2 priority   sorted set   urgent messages
--       3 scheduled  sorted set   messages that are not due yet
-- ARGV  1 limit      longest the three may be together; 0 for no limit
--       2 delay      ms from now; -1 for none
--       3 at         ms of Redis TIME; -1 for none
--       4.. pairs    level ("0" to "9"), payload
-- Returns the length of the list.
-- Error TOWNPOST_FULL: the limit would be exceeded; nothing was added.
--
-- Members of the sorted sets are stamp (20 digits), level (1 digit), payload: the stamp keeps equal payloads apart
-- and those of one level in order.

local queue, priority, scheduled = KEYS[1], KEYS[2], KEYS[3]
local limit, delay, at = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local waiting = redis.call('LLEN', queue)
if limit > 0 then
    local total = waiting + redis.call('ZCARD', priority) + redis.call('ZCARD', scheduled)
    if total > 0 and total + (#ARGV - 3) / 2 > limit then
        return redis.error_reply('TOWNPOST_FULL ' .. total .. ' messages are waiting')
    end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = at
if delay >= 0 then due = now + delay end

for i = 4, #ARGV, 2 do
    local level, payload = ARGV[i], ARGV[i + 1]
    local member = string.format('%010d%06d%04d', time[1], time[2], ((i - 4) / 2) % 10000) .. level .. payload
    if due > now then
        redis.call('ZADD', scheduled, string.format('%d', due), member)
    elseif level ~= '0' and waiting > 0 then
        -- only while the list is not empty: whoever waits, waits for the list
        redis.call('ZADD', priority, string.format('%.0f', (9 - level) * 1e15 + now), member)
    else
        waiting = redis.call('RPUSH', queue, payload)
    end
end
return redis.call('LLEN', queue)
