#!lua
-- Takes the messages of claims whose lease has expired.
--
-- KEYS  1 leases     sorted set   claim -> deadline
--       2 suspects   list
--       3 crashes    hash         SHA-1 -> how often a consumer died with this message alone
--       4 attempts   hash         SHA-1 -> how often its handler failed
--       5 history    hash         SHA-1 -> earlier deaths
--       6 dead       stream
--       7 counted    sorted set   which messages have counts -> when they last changed
--       8 queue      list
--       9 handoff    list         a claim without a consumer: its messages were never begun
--      10.. claims
-- ARGV  1 most       crashes before a message is dead
--       2 by         the consumer that recovers
--       3 prefix     of the names of claims
--       4 bytes      moved in one run; the rest stays expired under another name, so that its consumer has lost it
--       5 full       1 when Redis is full: then no crash is counted, since only what frees or moves may run
-- Returns { messages recovered, messages dead-lettered, leases removed that belong to no claim }.
--
-- A crash is counted only against a message that was alone in its claim. A larger batch does not show which message caused
-- it, and a claim made ahead does not even show whether its handler had begun.
--
-- Where Redis refused the settlement of a part half-way, the claim's name replaces the settled messages: see settle.lua.

--#include reliable/common.lua

local leases, suspects, crashes, attempts, history = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local dead, counted, queue, handoff = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local most, by, prefix, bytes, full = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local recovered, died, foreign = 0, 0, 0
local REST = ':rest'
local EACH = 256 -- bytes that moving one message costs, however small it is

local function blame(claim)
    local blamed = redis.call('LINDEX', claim, 0)
    local sum = identity(blamed)
    local crashed = whole(redis.call('HGET', crashes, sum)) + 1
    if crashed < most then
        mention(counted, sum, blamed)
        redis.call('HSET', crashes, sum, crashed)
        return
    end
    redis.call('XADD', dead, '*', 'payload', blamed, 'reason', 'crashed',
        'error', 'its consumer died or stalled with it ' .. crashed .. ' times',
        'attempts', whole(redis.call('HGET', attempts, sum)), 'crashes', crashed,
        'history', redis.call('HGET', history, sum) or '[]', 'by', by)
    for _, counts in ipairs({ crashes, attempts, history }) do redis.call('HDEL', counts, sum) end
    redis.call('ZREM', counted, sum .. string.sub(blamed, 1, PREFIX))
    redis.call('LTRIM', claim, 1, -1)
    died = died + 1
end

local function move(from, to)
    while bytes > 0 do
        local payload = redis.call('LMOVE', from, to, 'RIGHT', 'LEFT')
        if not payload then return true end
        bytes = bytes - #payload - EACH
        if from ~= handoff then recovered = recovered + 1 end
    end
    return redis.call('EXISTS', from) == 0
end

-- The lease of the new name comes before what it is for; of a name that has no list it is simply removed later.
local function keep_rest(claim)
    redis.call('ZADD', leases, now - 0.5, claim .. REST)
    redis.call('RENAME', claim, claim .. REST)
end

local function drop_marks(claim)
    return redis.call('LREM', claim, 0, claim) > 0
end

local function was_larger_or_ahead(claim)
    return string.sub(claim, -#REST) == REST or string.sub(claim, -6) == ':ahead'
end

for i = 10, #KEYS do
    local claim = KEYS[i]
    local deadline = tonumber(redis.call('ZSCORE', leases, claim))
    if deadline and deadline <= now then
        local kind = redis.call('TYPE', claim).ok
        local emptied = true
        if claim == handoff then
            emptied = kind == 'none' or move(handoff, queue)
        elseif string.sub(claim, 1, #prefix) ~= prefix or (kind ~= 'list' and kind ~= 'none') then
            foreign = foreign + 1
        elseif kind == 'list' then
            local was_larger = drop_marks(claim) or was_larger_or_ahead(claim)
            if not full and not was_larger and redis.call('LLEN', claim) == 1 then blame(claim) end
            emptied = move(claim, suspects)
            if not emptied and string.sub(claim, -#REST) ~= REST then
                keep_rest(claim)
                emptied = true
            end
        end
        if emptied then redis.call('ZREM', leases, claim) end -- last: what is refused half-way can be done again
    end
end
return { recovered, died, foreign }
