#!lua
-- Settles a claim, or a part of it: handled messages are removed, failed ones are scheduled again or become dead letters,
-- and unstarted ones go back.
--
-- KEYS  1 claim      list         the batch
--       2 leases     sorted set   claim -> deadline
--       3 queue      list         ready messages
--       4 scheduled  sorted set   messages by due time
--       5 attempts   hash         SHA-1 -> how often its handler failed
--       6 crashes    hash         SHA-1 -> how often a consumer died with this message alone
--       7 history    hash         SHA-1 -> earlier deaths
--       8 dead       stream
--       9 counted    sorted set   which messages have counts -> when they last changed
--      10 bell       list         wakes the forwarder
--      11.. once     strings      one for each message whose id is stored
-- ARGV  1 by         the consumer that settles
--       2 remember   ms that the `once` keys live
--       3 full       1 when Redis is full: only what frees memory runs, and failed messages go to the end of the queue
--       4 length     messages in the claim, as its consumer counts
--       5 done       how many of the `once` keys are kept; the others are deleted if they belong to this claim
--       6 stay       how many positions follow: messages being handled, which stay in the claim, under its lease
--       ..           these positions, from 0
--       then returned: how many positions of unstarted messages follow, and these
--       then for each failed message: position, "retry", "busy" or "dead", most attempts, back-off (ms), cap (ms), pauses
--       (ms, each but the last followed by a comma; empty: the back-off, doubling), fraction of the back-off (full
--       jitter), level, reason, error
-- Returns { 1, how many died, how many were scheduled, how many failed ones went back uncounted }. Returns { 0 } when the
-- lease had expired and the claim was recovered: then it changes nothing, because another consumer has the messages.

--#include reliable/common.lua

local claim, leases, queue, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local attempts, crashes, history, dead, counted = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local by, full, length = ARGV[1], ARGV[3] == '1', tonumber(ARGV[4])
local stay = tonumber(ARGV[6])
local returned = tonumber(ARGV[7 + stay])
local failures = 8 + stay + returned
local FEW = 1000 -- members of `counted` that are looked at first: that is quicker than a SHA-1 for each message
local BUSY_MS = 250 -- until a message is offered again whose id another consumer has in flight
local DOUBLINGS = 40

if not redis.call('ZSCORE', leases, claim) then return { 0 } end
if stay > 0 and redis.call('LLEN', claim) < length then return { 1, 0, 0, 0 } end -- done: the reply to it was lost

-- A script that is refused half-way is not rolled back. So the claim is worked off from its end, where positions stay what
-- they were, each message leaves it when it is where it belongs, and the lease goes last: it can be settled again. That
-- also keeps a message from being there twice, which a full Redis has no room for. Where some stay, those that leave are
-- marked first, and taken out when all are; the claim's own name in the list is one that has left.
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
local function pause_after(failed, base, cap, pauses, fraction)
    local last
    local n = 0
    for one in string.gmatch(pauses, '%d+') do
        n, last = n + 1, tonumber(one)
        if n == failed then break end
    end
    return last or math.min(cap, base * 2 ^ math.min(failed - 1, DOUBLINGS)) * fraction
end
local function fail(position, i)
    local verdict, most, level = ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 7]
    local payload = payloads[position]
    local sum = identity(payload)
    local failed = whole(redis.call('HGET', attempts, sum))
    if verdict ~= 'busy' then failed = failed + 1 end
    known = known + 1
    if full then
        if stay == 0 then redis.call('LMOVE', claim, queue, 'RIGHT', 'RIGHT') else redis.call('RPUSH', queue, payload) end
        kept[position] = true
        uncounted = uncounted + 1
    elseif verdict == 'busy' then
        schedule(payload, position, level, BUSY_MS)
    elseif verdict == 'dead' or failed >= most then
        bury(payload, sum, failed, ARGV[i + 8], ARGV[i + 9])
    else
        mention(counted, sum, payload)
        redis.call('HSET', attempts, sum, failed)
        schedule(payload, position, level,
            pause_after(failed, tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), ARGV[i + 5], tonumber(ARGV[i + 6])))
        again = again + 1
    end
end
local stays, ends = {}, {} -- position -> where the failure stands in ARGV; 0 for one that goes back
for i = 7, 6 + stay do stays[ARGV[i] + 1] = true end
for i = 8 + stay, 7 + stay + returned do ends[ARGV[i] + 1] = 0 end
for i = failures, #ARGV, 10 do ends[ARGV[i] + 1] = i end
if stay == 0 then
    local left = #payloads
    for position = #payloads, 1, -1 do -- what lies beyond was given back before it was answered
        local i = ends[position]
        if i then
            if position < left then redis.call('LTRIM', claim, 0, position - 1) end
            left = position - 1
            if i == 0 then
                redis.call('LMOVE', claim, queue, 'RIGHT', 'LEFT')
                kept[position] = true
            else
                fail(position, i)
                if not full then redis.call('RPOP', claim) end
            end
        end
    end
else
    for position = #payloads, 1, -1 do
        local i = ends[position]
        if payloads[position] == claim or stays[position] then
            kept[position] = true
        elseif i then
            if i == 0 then
                redis.call('LPUSH', queue, payloads[position])
                kept[position] = true
            else
                fail(position, i)
            end
            redis.call('LSET', claim, position - 1, claim)
        end
    end
    for position = #payloads, 1, -1 do
        if stays[position] then redis.call('LMOVE', claim, claim, 'RIGHT', 'LEFT') else redis.call('RPOP', claim) end
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
    if i - 10 > tonumber(ARGV[5]) then
        if redis.call('GET', KEYS[i]) == claim then redis.call('DEL', KEYS[i]) end
    elseif full then redis.call('SET', KEYS[i], 'done', 'XX', 'PX', ARGV[2])
    else redis.call('SET', KEYS[i], 'done', 'PX', ARGV[2]) end
end
if stay == 0 then
    redis.call('DEL', claim)
    redis.call('ZREM', leases, claim)
end
return { 1, died, again, uncounted }
