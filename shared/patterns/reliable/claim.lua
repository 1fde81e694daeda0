#!lua flags=allow-oom
-- Takes a batch out of a queue into a claim of its own, under a lease. One round trip.
--
-- KEYS  1 queue      list         ready messages, oldest first
--       2 handoff    list         what waking consumers moved out of the queue
--       3 claim      list         the batch; must not exist
--       4 leases     sorted set   claim -> deadline
--       5 priority   sorted set   urgent messages
--       6 scheduled  sorted set   messages by due time
--       7 suspects   list         messages of crashed consumers
-- ARGV  1 most       messages
--       2 lease      ms
--       3 bytes      about how many the batch may have together
--       4 ahead      1 when the consumer still has another batch in hand: then it gets no suspect
-- Returns { ms until something falls due (-1: nothing will), { names of expired claims }, { payload... } }.
--
-- A suspect travels alone, so that only the message that really kills its consumer is blamed for it.

local queue, handoff, claim, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local priority, scheduled, suspects = KEYS[5], KEYS[6], KEYS[7]
local most, lease, bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local CHUNK = 500 -- unpack fails at about 8,000 values
local PROMOTE = 200

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A script that is refused half-way (ACL, a key of another type) is not rolled back. So whatever moves is first
-- written to where it goes, and only then taken from where it was; a lease comes before what it is for.
local kind = redis.call('TYPE', queue).ok
if kind ~= 'list' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value')
end

-- what fell due becomes ready
local due = redis.call('ZRANGE', scheduled, '-inf', now, 'BYSCORE', 'LIMIT', 0, PROMOTE)
for _, member in ipairs(due) do
    local level = string.sub(member, 21, 21)
    if level ~= '0' and redis.call('EXISTS', queue) == 1 then
        redis.call('ZADD', priority, string.format('%.0f', (9 - level) * 1e15 + now), member)
    else
        redis.call('RPUSH', queue, string.sub(member, 22))
    end
    redis.call('ZREM', scheduled, member)
end

local batch = {}
local size = 0
local function take(payloads)
    if #batch == 0 then redis.call('ZADD', leases, now + lease, claim) end
    redis.call('RPUSH', claim, unpack(payloads))
    for _, payload in ipairs(payloads) do
        batch[#batch + 1] = payload
        size = size + #payload
    end
end

local suspect = redis.call('LINDEX', suspects, 0)
if suspect and ARGV[4] == '1' then return { 0, {}, {} } end
if suspect then
    take({ suspect })
    redis.call('LTRIM', suspects, 1, -1)
else
    -- everything, whoever put it there: a consumer that died between its two steps strands nothing
    local adopted = redis.call('LRANGE', handoff, 0, CHUNK - 1)
    if #adopted > 0 then
        take(adopted)
        redis.call('LTRIM', handoff, #adopted, -1)
    end
    while #batch < most and size < bytes do
        local members = redis.call('ZRANGE', priority, 0, math.min(most - #batch, CHUNK) - 1)
        if #members == 0 then break end
        local payloads = {}
        for i, member in ipairs(members) do payloads[i] = string.sub(member, 22) end
        take(payloads)
        redis.call('ZREM', priority, unpack(members))
    end
    while #batch < most and size < bytes do
        -- the first one stands for the others: a queue of 1 MiB messages is taken a few at a time
        local first = redis.call('LINDEX', queue, 0)
        if not first then break end
        local fitting = math.max(1, math.floor((bytes - size) / math.max(#first, 1)))
        local payloads = redis.call('LRANGE', queue, 0, math.min(most - #batch, CHUNK, fitting) - 1)
        take(payloads)
        redis.call('LTRIM', queue, #payloads, -1)
    end
end

local wait = -1
local function soonest(key)
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then
        local left = math.max(0, first[2] - now)
        if wait < 0 or left < wait then wait = left end
    end
end
soonest(scheduled)
soonest(leases)
local expired = {}
if wait == 0 then expired = redis.call('ZRANGE', leases, '-inf', now, 'BYSCORE', 'LIMIT', 0, 4) end

return { math.ceil(wait), expired, batch }
