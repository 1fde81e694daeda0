#!lua
-- Settles a batch, or a part of it, that has failed or unstarted entries. It needs memory; in a full Redis free.lua runs
-- instead.
--
-- KEYS  1 stream
--       2 dead       stream
--       3 retries    sorted set   padded id -> due (ms)
--       4 wake       stream       at most one entry: the member that reads it watches the retries
--       5 deaths     hash         id of a requeued entry -> its earlier deaths, as JSON
-- ARGV  1 group
--       2 consumer
--       3 waiting    consumer in whose name waiting entries are pending
--       4 lease      ms; any member may take what is idle for longer
--       5 before     how often these messages were delivered before
--       6 again      1: these were taken over, so there may be earlier deaths to forget
--       7 acked      how many ids of handled messages follow, and these
--       then returned: how many ids of unstarted messages, and these
--       then for each failed message: id, payload, "retry", "dead" or "copy" (dead; the payload is the entry's own), pause
--       in ms, reason, error, attempts, crashes, earlier deaths (empty: look in the hash)
-- Returns { acknowledged, died, scheduled, refused, error }; refused: could not become a dead letter, is
-- delivered again.
--
-- A retry stays pending in the name of `waiting`, so that no member's sign of life keeps it. Its due time is in the set.
-- Unstarted entries are due at once, in the order of the stream.

local stream, dead, retries, wake, deaths = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, consumer, waiting, lease, before = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local again_taken = ARGV[6] == '1'
local at = 7

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function ids()
    local found = {}
    for i = at + 1, at + tonumber(ARGV[at]) do found[#found + 1] = ARGV[i] end
    at = at + #found + 1
    return found
end

local function still_ours(id)
    return redis.call('XPENDING', stream, group, id, id, 1, consumer)[1] ~= nil
end

local waits = false
local function park(id, due, count)
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    local member = string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #n) .. n
    redis.call('ZADD', retries, math.min(due or tonumber(ms), due or now), member)
    local idle = math.max(0, lease - math.max(0, (due or now) - now))
    redis.call('XCLAIM', stream, group, waiting, 0, id, 'IDLE', idle, 'RETRYCOUNT', count, 'JUSTID')
    waits = true
end

local acknowledged, died, again, refused, problem = 0, 0, 0, 0, ''
for _, id in ipairs(ids()) do
    acknowledged = acknowledged + redis.call('XACK', stream, group, id)
    if again_taken then redis.pcall('HDEL', deaths, id) end
end
for _, id in ipairs(ids()) do
    if still_ours(id) then park(id, nil, before) end
end
for i = at, #ARGV, 9 do
    local id, payload, verdict, pause = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    if not still_ours(id) then
        -- somebody else has it: what becomes of it is not ours to say
    elseif verdict == 'retry' then
        park(id, now + pause, before + 1)
        again = again + 1
    else
        if verdict == 'copy' then
            local entry = redis.call('XRANGE', stream, id, id)[1]
            for j = 1, entry and #entry[2] or 0, 2 do
                if entry[2][j] == 'message' then payload = entry[2][j + 1] end
            end
        end
        local history = ARGV[i + 8]
        if history == '' then
            local known = again_taken and redis.pcall('HGET', deaths, id)
            history = type(known) == 'string' and known or '[]'
        end
        local added = redis.pcall('XADD', dead, '*', 'payload', payload, 'reason', ARGV[i + 4], 'error', ARGV[i + 5],
            'attempts', ARGV[i + 6], 'crashes', ARGV[i + 7], 'history', history, 'by', consumer,
            'group', group, 'entry', id)
        if type(added) == 'table' and added.err then
            park(id, now + lease, before)
            refused = refused + 1
            problem = added.err
        else
            redis.call('XACK', stream, group, id)
            if again_taken then redis.pcall('HDEL', deaths, id) end
            died = died + 1
        end
    end
end
if waits and redis.call('XLEN', wake) == 0 then redis.call('XADD', wake, '*', 'look', '1') end
return { acknowledged, died, again, refused, problem }
