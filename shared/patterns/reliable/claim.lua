#!lua flags=allow-oom
-- Takes a batch out of a queue into a claim of its own, under a lease. One round trip.
--
-- KEYS  1 queue      list         ready messages, oldest first
--       2 handoff    list         one message for each consumer that is waking up
--       3 claim      list         the batch; must not exist
--       4 leases     sorted set   claim -> deadline; the handoff, while something lies there
--       5 priority   sorted set   urgent messages
--       6 scheduled  sorted set   messages by due time
--       7 suspects   list         messages of crashed consumers
--       8 forwarder  string       the consumer that promotes what falls due
-- ARGV  1 most       messages
--       2 lease      ms
--       3 grace      ms: see `overdue`
--       4 bytes      the batch ends with the message that exceeds it
--       5 longest    bytes of a message that is sent; of a longer one only its size is
--       6 ahead      1 when the consumer still has another batch in flight: then it gets no suspect
--       7 woken      1 when one message was moved into the handoff for this consumer
--       8 plain      how many of the batch are left for the list, though more are urgent
--       9 suspects   1 when this consumer's turn is a suspect
--      10 consumer
--      11 forward    ms that a forwarder is trusted to be there
-- Returns { ms until a lease is to be looked at (-1: none is), { names of expired claims },
--           { payload, or size of one that is too long... }, 1 if this consumer is now the forwarder,
--           1 if the batch is a suspect }.
--
-- A suspect travels alone, so that only the message that really kills its consumer is blamed for it. A script that is
-- refused half-way (ACL, a key of another type) is not rolled back: so whatever moves, moves in one step, or is first
-- written to where it goes and only then taken from where it was.

--#include reliable/common.lua

local queue, handoff, claim, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local priority, scheduled, suspects, forwarder = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local most, lease, grace = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, longest, plain = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[8])
local PROMOTE = 200
local FEW = 16
local HANDOFF_MS = 250 -- who was woken has claimed by then; or is gone, and another takes what lies there

local ready = redis.pcall('LLEN', queue)
if type(ready) == 'table' then
    return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value')
end

ready = ready + promote(queue, priority, scheduled, PROMOTE, bytes / 2) -- the forwarder does the rest

local batch, size = {}, 0
local function lease_first() -- a lease comes before what it is for
    if #batch == 0 then redis.call('ZADD', leases, now + lease, claim) end
end
local function took(payload)
    size = size + #payload
    batch[#batch + 1] = #payload <= longest and payload or #payload
end
local function take_one(from)
    lease_first()
    local payload = redis.call('LMOVE', from, claim, 'LEFT', 'RIGHT')
    if payload then took(payload) end
end
-- A few at a time cost half of one by one. How large they are is only known when they were read, so it begins with one.
local function take_list()
    local few = 1
    while #batch < most and size < bytes do
        local payloads = redis.call('LRANGE', queue, 0, math.min(few, most - #batch) - 1)
        if #payloads == 0 then break end
        lease_first()
        local fitting = #payloads
        for i, payload in ipairs(payloads) do
            took(payload)
            if size >= bytes and i < fitting then fitting = i break end
        end
        redis.call('RPUSH', claim, unpack(payloads, 1, fitting))
        redis.call('LTRIM', queue, fitting, -1)
        few = math.min(few * 2, FEW)
    end
end

local function take_ready()
    if ARGV[7] == '1' then take_one(handoff) end
    local others = redis.call('LLEN', handoff)
    if others > 0 then
        -- others were woken as well: they are on their way, and get their share
        redis.call('ZADD', leases, 'NX', now + HANDOFF_MS + 0.5, handoff)
        most = math.min(most, math.max(1, math.ceil((#batch + ready) / (others + 1))))
    elseif ARGV[7] == '1' then
        redis.call('ZREM', leases, handoff)
    end
    local share = most - math.min(plain, ready)
    while #batch < share and size < bytes do
        local member = redis.call('ZRANGE', priority, 0, 0)[1]
        if not member then break end
        local _, payload = parts(member)
        lease_first()
        redis.call('RPUSH', claim, payload)
        redis.call('ZREMRANGEBYRANK', priority, 0, 0) -- by its place: ZREM would copy and hash a member of 1 MiB again
        took(payload)
        size = size + #payload -- copied, not moved: that takes twice as long
    end
    take_list()
    if #batch == 0 then redis.call('ZREM', leases, claim) end
end

local suspicious = redis.call('EXISTS', suspects) == 1
local suspect = 0
if suspicious and ARGV[6] == '1' then
    -- none ahead: the consumer has to come back with nothing in flight
elseif suspicious and ARGV[9] == '1' and ARGV[7] == '0' then
    suspect = 1
    take_one(suspects)
else
    take_ready()
    if #batch == 0 and suspicious then
        suspect = 1
        take_one(suspects)
    end
end

local forward = 0
if redis.call('EXISTS', forwarder) == 0 then
    redis.call('SET', forwarder, ARGV[10], 'PX', ARGV[11])
    forward = 1
end
local expired, wait = overdue(leases, lease, grace)
return { wait, expired, batch, forward, suspect }
