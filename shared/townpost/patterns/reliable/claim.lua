#!lua flags=allow-oom
-- Moves a batch from a queue into a claim of its own, under a lease.
--
-- KEYS  1 queue      list         ready messages, oldest first
--       2 handoff    list         messages of waking consumers, until adopt.lua moves them
--       3 claim      list         the batch; must not exist
--       4 leases     sorted set   claim -> deadline; the handoff, while it is not empty
--       5 priority   sorted set   urgent messages
--       6 scheduled  sorted set   messages by due time
--       7 suspects   list         messages of crashed consumers
--       8 forwarder  string       the consumer that promotes messages that are due
-- ARGV  1 most       messages in the batch
--       2 lease      ms
--       3 grace      ms: see `overdue`
--       4 bytes      the batch ends with the message that exceeds it
--       5 longest    bytes; of a longer message only the size is returned
--       6 ahead      1 when the consumer has another batch in flight: then it gets nothing while there are suspects.
--                    For a consumer with many batches in flight: 2 takes no suspect, 3 takes suspects only
--       7 plain      how many of the batch come from the list, even if more are urgent
--       8 suspects   1 when this claim takes a suspect, if there is one
--       9 consumer   its name
--      10 forward    ms after which another consumer may be elected
-- Returns { ms until a lease must be checked (-1: there is none), { names of expired claims },
--           { payload, or size if it is too long... }, 1 if this consumer is now the forwarder,
--           1 if the batch is a suspect, 2 if it is none and suspects wait }.
--
-- A suspect is alone in its claim, so that a crash is counted only against the message that causes it. Redis does not roll
-- back a script that it refuses half-way (ACL, a key of another type). So each message moves in one step, or is first
-- written to its new place and only then removed from its old one.

--#include reliable/common.lua

local queue, handoff, claim, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local priority, scheduled, suspects, forwarder = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local most, lease, grace = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, longest, plain = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local PROMOTE = 200
local FEW = 16
local MOVED = 1000 -- as arguments of one call
local HANDOFF_MS = 250 -- by then the woken consumer has adopted its message; if it could not, another consumer recovers it

local ready = redis.pcall('LLEN', queue)
if type(ready) == 'table' then
    return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value')
end

ready = ready + promote(queue, priority, scheduled, PROMOTE, bytes / 2) -- the forwarder promotes the rest

local batch, size, leased = {}, 0, false
local function lease_first() -- the lease is written before the messages of the claim
    if not leased then redis.call('ZADD', leases, now + lease, claim) end
    leased = true
end
local function took(payload)
    size = size + #payload
    batch[#batch + 1] = #payload <= longest and payload or #payload
end
-- Reading a few at a time costs half of reading one by one. Their size is known only when they were read, so the first
-- read is of one.
local function take_list()
    local payloads, taken, few = {}, 0, 1
    while #batch < most and size < bytes do
        local found = redis.call('LRANGE', queue, taken, taken + math.min(few, most - #batch) - 1)
        for i = 1, #found do
            taken = taken + 1
            payloads[taken] = found[i]
            took(found[i])
            if size >= bytes then break end
        end
        if #found < few then break end
        few = math.min(few * 2, FEW)
    end
    if taken == 0 then return end
    lease_first()
    for first = 1, taken, MOVED do
        redis.call('RPUSH', claim, unpack(payloads, first, math.min(first + MOVED - 1, taken)))
    end
    redis.call('LTRIM', queue, taken, -1)
end

local function take_ready()
    if redis.call('EXISTS', handoff) == 1 then redis.call('ZADD', leases, 'NX', now + HANDOFF_MS + 0.5, handoff) end
    local share = most - math.min(plain, ready)
    while #batch < share and size < bytes do
        local member = redis.call('ZRANGE', priority, 0, 0)[1]
        if not member then break end
        local _, payload = parts(member)
        lease_first()
        redis.call('RPUSH', claim, payload)
        redis.call('ZREMRANGEBYRANK', priority, 0, 0) -- by rank: ZREM would copy and hash a member of 1 MiB again
        took(payload)
        size = size + #payload -- counted twice: copying takes twice as long as moving
    end
    if ready > 0 then take_list() end
end

local function take_suspect()
    lease_first()
    took(redis.call('LMOVE', suspects, claim, 'LEFT', 'RIGHT'))
end

local suspicious = redis.call('EXISTS', suspects) == 1
local suspect = 0
if ARGV[6] == '2' then
    take_ready()
    if suspicious then suspect = 2 end
elseif ARGV[6] == '3' then
    if suspicious then
        suspect = 1
        take_suspect()
    end
elseif suspicious and ARGV[6] == '1' then
    -- no batch ahead: the consumer must ask again with nothing in flight
elseif suspicious and ARGV[8] == '1' then
    suspect = 1
    take_suspect()
else
    take_ready()
    if #batch == 0 and suspicious then
        suspect = 1
        take_suspect()
    end
end

local forward = 0
if redis.call('EXISTS', forwarder) == 0 then
    redis.call('SET', forwarder, ARGV[9], 'PX', ARGV[10])
    forward = 1
end
local expired, wait = overdue(leases, lease, grace)
return { wait, expired, batch, forward, suspect }
