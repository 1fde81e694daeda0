#!lua flags=allow-oom
-- Takes over pending entries: due retries, returned entries, and entries of dead members.
--
-- KEYS  1 stream
--       2 retries    sorted set   padded id -> due (ms)
--       3 wake       stream       at most one entry: the member that reads it runs this script
-- ARGV  1 group
--       2 consumer   the member that takes
--       3 waiting    consumer in whose name waiting entries are pending
--       4 lease      ms; a member without a sign of life for longer is dead
--       5 most       entries
--       6 expected   ms of TIME by the member's own clock; empty: not known yet
--       7 slack      ms by which the two may differ; more is a jump of the clock
--       8 recover    1: take from dead members, too
--       9 first      "dead" or "due": which are taken first
--      10 cursor     where to continue the search for waiting entries that are in no sorted set
--      11 woken      1: this member watches the retries
--      12.. ids of the wake stream that it read
-- Returns { TIME in ms, ms until the next entry is due that this member watches (-1: none), how often these were delivered
--           before, 1 when they were a dead member's, cursor, malformed members removed, { id... } }.
--
-- It reads no payload. The cost depends on the number of members and of taken entries, not on how many are pending.
-- An entry that was delivered before is taken alone, so that the next crash is counted against it only.

local stream, retries, wake = KEYS[1], KEYS[2], KEYS[3]
local group, me, waiting = ARGV[1], ARGV[2], ARGV[3]
local lease, most, expected, slack = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local cursor, woken = ARGV[10], ARGV[11] == '1'
local YEAR_MS = 366 * 24 * 3600 * 1000
local CHUNK = 100
local FEW = 10
local MOST_STEPS = 2000
local NO_ENTRY = '18446744073709551615-0' -- behind every entry: reading the own ones from here on only shows a sign of life

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if #ARGV > 11 then redis.call('XACK', wake, group, unpack(ARGV, 12)) end
if redis.call('XLEN', wake) > 0 then
    redis.call('XTRIM', wake, 'MAXLEN', 0)
    woken = true
end

local function padded(id)
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    return string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #n) .. n
end

local function plain(member)
    local ms, n = string.match(member, '^0*(%d+)-0*(%d+)$')
    if ms and #ms <= 20 and #n <= 20 then return ms .. '-' .. n end
end

local parked, holders = 0, {}
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local member = {}
    for i = 1, #fields, 2 do member[fields[i]] = fields[i + 1] end
    if member.name == waiting then
        parked = member.pending
    elseif member.pending > 0 and member.name ~= me then
        holders[#holders + 1] = member
    end
end

-- After a jump of the clock, idle times say nothing: every member gets a lease from now on.
local jumped = expected and math.abs(now - expected) > slack
if not expected then
    for _, fields in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        local other = {}
        for i = 1, #fields, 2 do other[fields[i]] = fields[i + 1] end
        local last = tonumber(string.match(other['last-delivered-id'], '^%d+'))
        -- ids are of the time when they were added
        if other.name == group and last > now + slack then jumped = true end
    end
end
if jumped then
    for _, member in ipairs(holders) do
        redis.call('XREADGROUP', 'GROUP', group, member.name, 'COUNT', 1, 'STREAMS', stream, NO_ENTRY)
    end
end
-- It may have gone back by hours: then no retry waits for longer than a lease. Nor does any wait for more than a year.
local farthest = jumped and now + lease + slack or now + YEAR_MS
local far = redis.call('ZRANGE', retries, '(' .. farthest, '+inf', 'BYSCORE', 'LIMIT', 0, CHUNK)
for _, member in ipairs(far) do redis.call('ZADD', retries, now + lease, member) end

local found, before, from_dead, malformed, more = {}, 0, 0, 0, false

local function claim(id, times)
    local claimed = redis.call('XCLAIM', stream, group, me, 0, id, 'RETRYCOUNT', times + 1, 'JUSTID')
    if #claimed == 0 then return false end -- deleted meanwhile
    found[#found + 1] = id
    before = times
    return true
end

local function take_due()
    for _ = 1, MOST_STEPS / CHUNK do
        local members = redis.call('ZRANGE', retries, '-inf', now, 'BYSCORE', 'LIMIT', 0, CHUNK)
        for _, member in ipairs(members) do
            if #found >= most then return end
            local id = plain(member)
            local entry = id and redis.pcall('XPENDING', stream, group, id, id, 1)
            if not entry or entry.err then
                malformed = malformed + 1
            elseif entry[1] and entry[1][2] == waiting then
                local times = entry[1][4]
                if #found > 0 and times > 0 then return end
                if claim(id, times) and times > 0 then
                    redis.call('ZREM', retries, member)
                    return
                end
            end
            redis.call('ZREM', retries, member)
        end
        if #members < CHUNK then return end
    end
end

-- What waits and is in no sorted set: parked by a full Redis, or the set was deleted.
local function take_stray()
    if parked <= redis.call('ZCARD', retries) then
        cursor = '-'
        return
    end
    local window = redis.call('XPENDING', stream, group, cursor, '+', CHUNK, waiting)
    cursor = #window == CHUNK and '(' .. window[CHUNK][1] or '-'
    for _, entry in ipairs(window) do
        if #found > 0 then break end
        if entry[3] >= lease and not redis.call('ZSCORE', retries, padded(entry[1])) then claim(entry[1], entry[4]) end
    end
end

local function take_from_the_dead()
    if ARGV[8] ~= '1' or jumped then return end
    for _, member in ipairs(holders) do
        if member.idle >= lease then
            local entries = redis.call('XPENDING', stream, group, '-', '+', FEW, member.name)
            local gone = 0
            for _, entry in ipairs(entries) do
                gone = gone + 1
                if claim(entry[1], entry[4]) then break end
            end
            if gone == #entries and gone < FEW then
                redis.call('XGROUP', 'DELCONSUMER', stream, group, member.name)
            else
                more = true
            end
            if #found > 0 then
                from_dead = 1
                return
            end
        end
    end
end

if ARGV[9] == 'dead' then take_from_the_dead() end
if #found == 0 then
    take_due()
    woken = woken or #found > 0
end
if #found == 0 then take_stray() end
if #found == 0 and ARGV[9] ~= 'dead' then take_from_the_dead() end

-- Exactly one member looks after what is due next: this one, or, when it has something to do, the next that waits.
local wait = -1
local soonest = woken and redis.call('ZRANGE', retries, 0, 0, 'WITHSCORES')[2]
if #found > 0 and (soonest or more) then
    redis.call('XADD', wake, '*', 'look', '1')
elseif soonest then
    wait = math.max(0, math.ceil(soonest - now))
end
return { now, wait, before, from_dead, cursor, malformed, found }
