#!lua
-- Ends a claim: what was handled is gone, what failed is scheduled again or dead, what was not begun goes back.
--
-- KEYS  1 claim      list         the batch
--       2 leases     sorted set   claim -> deadline
--       3 queue      list         ready messages
--       4 scheduled  sorted set   messages by due time
--       5 attempts   hash         SHA-1 -> how often its handler failed
--       6 crashes    hash         SHA-1 -> how often its consumer died with it alone
--       7 history    hash         SHA-1 -> earlier deaths
--       8 dead       stream
--       9 counted    sorted set   which messages have counts -> when they last changed
--      10 bell       list         wakes the forwarder
--      11.. once     strings      one for each message handled once: to be remembered
-- ARGV  1 most       attempts before a message is dead
--       2 base       ms of back-off after the first failure, doubling
--       3 cap        ms of back-off at most
--       4 by         who settles
--       5 remember   ms for the `once` keys
--       6 full       1 when Redis is full: only what frees is done, and what failed goes to the end of the queue
--       7 returned   how many positions follow: messages not begun
--       8..          these positions, from 0, ascending
--       then for each failed message: position, "retry", "busy" or "dead", fraction of the back-off (full jitter),
--       level, reason, error
-- Returns { 1, how many died, how many were scheduled, how many failed ones went back uncounted }, or { 0 } when the lease
-- had run out and the claim was recovered: then nothing is changed, the messages are another consumer's.

--#include reliable/common.lua

local claim, leases, queue, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local attempts, crashes, history, dead, counted = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local most, base, cap, by, full = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[6] == '1'
local returned = tonumber(ARGV[7])
local FEW = 1000 -- members of `counted` that are looked at first: that is quicker than a SHA-1 for each message
local BUSY_MS = 250 -- until a message is offered again whose id another consumer has in flight
local DOUBLINGS = 40

if not redis.call('ZSCORE', leases, claim) then return { 0 } end

-- A script that is refused half-way is not rolled back. So the claim is worked off from its end, where positions stay what
-- they were, each message leaves it when it is where it belongs, and the lease goes last: it can be settled again. That
-- also keeps a message from being there twice, which a full Redis has no room for.
local known = redis.call('ZCARD', counted)
local payloads = {}
if #ARGV > 7 or known > 0 then payloads = redis.call('LRANGE', claim, 0, -1) end
local kept = {} -- positions whose counts must stay

local died, again, uncounted = 0, 0, 0
local function bury(payload, sum, failed, reason, error)
    redis.call('XADD', dead, '*', 'payload', payload, 'reason', reason, 'error', error,
        'attempts', failed, 'crashes', whole(redis.call('HGET', crashes, sum)),
        'history', redis.call('HGET', history, sum) or '[]', 'by', by)
    died = died + 1
end
local function schedule(payload, position, level, pause)
    local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
    local due = math.floor(now + pause)
    local stamp = string.format('%010d%06d%04d', time[1], time[2], position % 10000)
    redis.call('ZADD', scheduled, due, stamp .. level .. payload)
    kept[position] = true
    if not first or due < tonumber(first) then ring(KEYS[10]) end
end
local function fail(position, verdict, fraction, level, reason, error)
    local payload = payloads[position]
    local sum = identity(payload)
    local failed = whole(redis.call('HGET', attempts, sum))
    if verdict ~= 'busy' then failed = failed + 1 end
    known = known + 1
    if full then
        redis.call('LMOVE', claim, queue, 'RIGHT', 'RIGHT')
        kept[position] = true
        uncounted = uncounted + 1
    elseif verdict == 'busy' then
        schedule(payload, position, level, BUSY_MS)
    elseif verdict == 'dead' or failed >= most then
        bury(payload, sum, failed, reason, error)
    else
        mention(counted, sum, payload)
        redis.call('HSET', attempts, sum, failed)
        schedule(payload, position, level, math.min(cap, base * 2 ^ math.min(failed - 1, DOUBLINGS)) * fraction)
        again = again + 1
    end
end
local ends = {} -- position -> where the failure stands in ARGV; 0 for one that goes back
for i = 8, 7 + returned do ends[ARGV[i] + 1] = 0 end
for i = 8 + returned, #ARGV, 6 do ends[ARGV[i] + 1] = i end
local length = #payloads
for position = #payloads, 1, -1 do -- what lies beyond was given back before it was answered
    local i = ends[position]
    if i then
        if position < length then redis.call('LTRIM', claim, 0, position - 1) end
        length = position - 1
        if i == 0 then
            redis.call('LMOVE', claim, queue, 'RIGHT', 'LEFT')
            kept[position] = true
        else
            fail(position, ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
            if not full then redis.call('RPOP', claim) end
        end
    end
end

-- what was handled has no counts any more
if known > 0 then
    local prefixes
    local members = redis.call('ZCARD', counted) <= FEW and redis.call('ZRANGE', counted, 0, -1)
    if members then
        prefixes = {}
        for _, member in ipairs(members) do prefixes[string.sub(member, 41)] = true end
    end
    for position, payload in ipairs(payloads) do
        local prefix = string.sub(payload, 1, PREFIX)
        if not kept[position] and (not prefixes or prefixes[prefix]) then
            local sum = identity(payload)
            if redis.call('ZREM', counted, sum .. prefix) == 1 then
                for _, counts in ipairs({ attempts, crashes, history }) do redis.call('HDEL', counts, sum) end
            end
        end
    end
end
for i = 11, #KEYS do
    if full then redis.call('SET', KEYS[i], 'done', 'XX', 'PX', ARGV[5])
    else redis.call('SET', KEYS[i], 'done', 'PX', ARGV[5]) end
end
redis.call('DEL', claim)
redis.call('ZREM', leases, claim)
return { 1, died, again, uncounted }
