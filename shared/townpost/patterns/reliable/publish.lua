#!lua
-- Adds messages to a queue, with a level, a delay and a limit.
--
-- KEYS  1 queue      list         ready messages
--       2 priority   sorted set   urgent messages
--       3 scheduled  sorted set   messages that are not due yet
--       4 bell       list         wakes the forwarder
-- ARGV  1 limit      messages that may wait; 0 for no limit
--       2 delay      ms from now; -1 for none
--       3 at         ms of Redis TIME; -1 for none
--       4.. pairs    level ("0" to "9"), payload
-- Returns the length of the list.
-- Error TOWNPOST_FULL waiting room: the limit would be exceeded; nothing was added. For messages without a delay only the
-- ready ones count, because a message that is due tomorrow should not block them; for delayed messages all count.
--
-- A member of the sorted sets is stamp (20 digits), level (1 digit), payload: the stamp makes equal payloads different, and
-- keeps the order within one level.

--#include reliable/common.lua

local queue, priority, scheduled = KEYS[1], KEYS[2], KEYS[3]
local limit, delay, at = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local due = at
if delay >= 0 then due = now + delay end

local waiting = redis.call('LLEN', queue)
if limit > 0 then
    local until_when = '+inf'
    if due <= now then until_when = string.format('%d', now) end
    local total = waiting + redis.call('ZCARD', priority) + redis.call('ZCOUNT', scheduled, '-inf', until_when)
    if total > 0 and total + (#ARGV - 3) / 2 > limit then
        return redis.error_reply(string.format('TOWNPOST_FULL %d %d', total, math.max(0, limit - total)))
    end
end

local stamp = time[1] * 1000000 + time[2]
for i = 4, #ARGV, 2 do
    local level, payload = ARGV[i], ARGV[i + 1]
    local number = (i - 4) / 2
    -- ten thousand to each microsecond, and adding as many takes longer than that
    local place = string.format('%016.0f%04d', stamp + math.floor(number / 10000), number % 10000)
    local member = place .. level .. payload
    if due > now then
        redis.call('ZADD', scheduled, string.format('%d', due), member)
    elseif level ~= '0' and waiting > 0 then
        -- only while the list is not empty: a waiting consumer waits for the list
        redis.call('ZADD', priority, string.format('%.0f', (9 - level) * 1e15 + now), member)
    else
        waiting = redis.call('RPUSH', queue, payload)
    end
end
if due > now and redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2] == string.format('%d', due) then
    ring(KEYS[4]) -- nothing is due before
end
return redis.call('LLEN', queue)
