#!lua
-- Requeues dead letters of one group of a stream, for this group alone. Attempts and crashes start at 0; the history of
-- deaths is kept.
--
-- KEYS  1 stream
--       2 dead       stream
--       3 retries    sorted set   padded id -> due (ms)
--       4 wake       stream       at most one entry: the member that reads it watches the retries
--       5 deaths     hash         id of a requeued entry -> its earlier deaths, as JSON
-- ARGV  1 group      empty: unknown
--       2 waiting    consumer in whose name waiting entries are pending
--       3 payload    replaces theirs; empty: unchanged
--       4.. ids of dead letters
-- Returns { how many were found, how many of them go to every group because theirs is unknown }.
--
-- If the entry is still in the stream, it becomes pending again. If it was trimmed, a new entry is added, with its group
-- in a field: members of other groups acknowledge it without handling it.

local stream, dead, retries, wake, deaths = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, waiting, other = ARGV[1], ARGV[2], ARGV[3]
local count, everywhere = 0, 0

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local groups = redis.pcall('XINFO', 'GROUPS', stream)
local last -- what the group has read; nil where there is no such group
for _, fields in ipairs(groups.err and {} or groups) do
    local group = {}
    for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
    if group.name == name then last = group['last-delivered-id'] end
end

local function behind(id, read)
    local a_ms, a_n = string.match(id, '^(%d+)-(%d+)$')
    local b_ms, b_n = string.match(read, '^(%d+)-(%d+)$')
    if a_ms ~= b_ms then return #a_ms > #b_ms or (#a_ms == #b_ms and a_ms > b_ms) end
    return #a_n > #b_n or (#a_n == #b_n and a_n > b_n)
end

local function again(id, history)
    if other ~= '' or not last or not string.match(id, '^%d+-%d+$') or behind(id, last) then return false end
    local pending = redis.pcall('XPENDING', stream, name, id, id, 1)
    if pending.err or pending[1] then return false end
    redis.call('HSET', deaths, id, history) -- first: what is refused here has changed nothing
    local claimed = redis.pcall('XCLAIM', stream, name, waiting, 0, id, 'FORCE', 'RETRYCOUNT', 0, 'JUSTID')
    if claimed.err or #claimed == 0 then
        redis.call('HDEL', deaths, id)
        return false
    end
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    redis.call('ZADD', retries, now, string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #n) .. n)
    if redis.call('XLEN', wake) == 0 then redis.call('XADD', wake, '*', 'look', '1') end
    return true
end

for i = 4, #ARGV do
    local entry = redis.call('XRANGE', dead, ARGV[i], ARGV[i])[1]
    if entry then
        local dead_letter = {}
        for j = 1, #entry[2], 2 do dead_letter[entry[2][j]] = entry[2][j + 1] end
        local payload = other ~= '' and other or dead_letter.payload or ''
        local readable, past = pcall(cjson.decode, dead_letter.history or '[]')
        if not readable or type(past) ~= 'table' then past = {} end
        past[#past + 1] = {
            id = entry[1], reason = dead_letter.reason, error = dead_letter.error,
            attempts = tonumber(dead_letter.attempts), crashes = tonumber(dead_letter.crashes), by = dead_letter.by,
        }
        local history = cjson.encode(past)
        if again(dead_letter.entry or '', history) then
            -- pending for its group
        elseif last then
            redis.call('XADD', stream, '*', 'message', payload, 'history', history, 'group', name)
        else
            redis.call('XADD', stream, '*', 'message', payload, 'history', history)
            everywhere = everywhere + 1
        end
        redis.call('XDEL', dead, ARGV[i])
        count = count + 1
    end
end
if redis.call('XLEN', dead) == 0 then redis.call('DEL', dead) end
return { count, everywhere }
