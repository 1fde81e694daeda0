#!lua flags=allow-oom
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
--       9.. once     strings      one for each message handled once: to be remembered
-- ARGV  1 most       attempts before a message is dead
--       2 base       ms of back-off after the first failure, doubling
--       3 cap        ms of back-off at most
--       4 by         who settles
--       5 remember   ms for the `once` keys
--       6 returned   how many positions follow: messages not begun
--       7..          these positions, from 0, ascending
--       then for each failed message: position, "retry", "busy" or "dead", fraction of the back-off (full jitter),
--       level, reason, error
-- Returns { 1, how many died, how many were scheduled }, or { 0 } when the lease had run out and the claim was
-- recovered: then nothing is changed, the messages are somebody else's.

local claim, leases, queue, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local attempts, crashes, history, dead = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local most, base, cap, by = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local returned = tonumber(ARGV[6])
local CHUNK = 500
local BUSY_MS = 250 -- until a message is offered again whose id another consumer has in hand

if not redis.call('ZSCORE', leases, claim) then return { 0 } end

-- A script that is refused half-way is not rolled back: the claim and its lease go last, so that it can be settled again.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counted = redis.call('EXISTS', attempts, crashes, history) > 0
local answers = #ARGV > 6
local payloads = {}
if answers or counted then payloads = redis.call('LRANGE', claim, 0, -1) end
local kept = {} -- positions whose counts must stay

local died, again = 0, 0
for i = 7 + returned, #ARGV, 6 do
    local position, verdict, fraction, level = ARGV[i] + 1, ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
    local payload = payloads[position]
    local sum = redis.sha1hex(payload)
    local failed = tonumber(redis.call('HGET', attempts, sum) or 0)
    if verdict ~= 'busy' then failed = failed + 1 end
    counted = true
    if verdict == 'dead' or (verdict == 'retry' and failed >= most) then
        redis.call('XADD', dead, '*', 'payload', payload, 'reason', ARGV[i + 4], 'error', ARGV[i + 5],
            'attempts', failed, 'crashes', redis.call('HGET', crashes, sum) or 0,
            'history', redis.call('HGET', history, sum) or '[]', 'by', by)
        died = died + 1
    else
        local pause = BUSY_MS
        if verdict == 'retry' then
            pause = math.min(cap, base * 2 ^ (failed - 1)) * fraction
            redis.call('HSET', attempts, sum, failed)
            again = again + 1
        end
        local stamp = string.format('%010d%06d%04d', time[1], time[2], position % 10000)
        redis.call('ZADD', scheduled, math.floor(now + pause), stamp .. level .. payload)
        kept[position] = true
    end
end

if returned > 0 then
    local back = {}
    for i = 6 + returned, 7, -1 do
        local position = ARGV[i] + 1
        back[#back + 1] = payloads[position]
        kept[position] = true
        if #back == CHUNK or i == 7 then
            redis.call('LPUSH', queue, unpack(back))
            back = {}
        end
    end
end

if counted then
    for position, payload in ipairs(payloads) do
        if not kept[position] then
            local sum = redis.sha1hex(payload)
            for _, counts in ipairs({ attempts, crashes, history }) do redis.call('HDEL', counts, sum) end
        end
    end
end
for i = 9, #KEYS do redis.call('SET', KEYS[i], 'done', 'PX', ARGV[5]) end
redis.call('DEL', claim)
redis.call('ZREM', leases, claim)
return { 1, died, again }
