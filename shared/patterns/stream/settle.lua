#!lua flags=allow-oom
-- Ends a batch of which something failed or was not begun.
--
-- KEYS  1 stream
--       2 dead       stream
-- ARGV  1 group
--       2 consumer
--       3 waiting    consumer that stands for what waits in nobody's hands
--       4 lease      ms; what is idle for longer may be taken by anyone
--       5 before     how often these messages had been handed out before this time
--       6 acked      how many ids of handled messages follow, and these
--       then returned: how many ids of messages not begun, and these
--       then for each failed message: id, payload, "retry" or "dead", pause in ms, reason, error, attempts, crashes
-- Returns { acknowledged, died, scheduled }.
--
-- A retry stays pending, in the name of `waiting` so that nobody renews it, with its idle time set so that the lease
-- runs out when the pause is over.

local stream, dead = KEYS[1], KEYS[2]
local group, consumer, waiting, lease, before = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local at = 6

local function ids()
    local found = {}
    for i = at + 1, at + tonumber(ARGV[at]) do found[#found + 1] = ARGV[i] end
    at = at + #found + 1
    return found
end

local function still_ours(id)
    return redis.call('XPENDING', stream, group, id, id, 1, consumer)[1] ~= nil
end

local acknowledged, died, again = 0, 0, 0
for _, id in ipairs(ids()) do acknowledged = acknowledged + redis.call('XACK', stream, group, id) end
for _, id in ipairs(ids()) do
    if still_ours(id) then
        redis.call('XCLAIM', stream, group, waiting, 0, id, 'IDLE', lease, 'RETRYCOUNT', before, 'JUSTID')
    end
end
for i = at, #ARGV, 8 do
    local id, payload, verdict, pause = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    if not still_ours(id) then
        -- somebody else has it: what becomes of it is not ours to say
    elseif verdict == 'dead' then
        local history = '[]'
        local entry = redis.call('XRANGE', stream, id, id)[1]
        for j = 1, entry and #entry[2] or 0, 2 do
            if entry[2][j] == 'history' then history = entry[2][j + 1] end
        end
        redis.call('XADD', dead, '*', 'payload', payload, 'reason', ARGV[i + 4], 'error', ARGV[i + 5],
            'attempts', ARGV[i + 6], 'crashes', ARGV[i + 7], 'history', history, 'by', consumer)
        redis.call('XACK', stream, group, id)
        died = died + 1
    else
        redis.call('XCLAIM', stream, group, waiting, 0, id, 'IDLE', math.max(0, lease - pause), 'JUSTID')
        again = again + 1
    end
end
return { acknowledged, died, again }
