-- Functions of the scripts of the reliable queue. Other clients write under these keys, too: nothing read here is trusted.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local STAMP = 21 -- characters before the payload of a scheduled or urgent message: see publish.lua
local EXPIRED = 4 -- how many claims one reply names

local BELIEVABLE = 1e6
local function whole(value) -- the count, or 0 if it is not one
    local number = tonumber(value)
    if not number or not (number >= 0 and number <= BELIEVABLE) then return 0 end
    return math.floor(number)
end

-- Level and payload of a member of a sorted set. A malformed member is delivered as it is, and becomes a dead letter like
-- every unreadable message.
local function parts(member)
    if string.find(string.sub(member, 1, STAMP), '^%d+$') and #member >= STAMP then
        return string.sub(member, STAMP, STAMP), string.sub(member, STAMP + 1)
    end
    return '0', member
end

local function urgent(level)
    return string.format('%.0f', (9 - level) * 1e15 + now)
end

-- The name under which a message is counted. For a long message both ends are enough: SHA-1 of 16 MiB takes as long as a
-- script may run.
local ENDS = 4096
local function identity(payload)
    if #payload <= 2 * ENDS then return redis.sha1hex(payload) end
    return redis.sha1hex(#payload .. string.sub(payload, 1, ENDS) .. string.sub(payload, -ENDS))
end

-- Notes that a message has counts: a member of the sorted set `counted`, by the time of its last change. The member is the
-- SHA-1 and the beginning of the payload, which shows quickly that a message has no counts.
local PREFIX = 64
local function mention(counted, sum, payload)
    redis.call('ZADD', counted, now, sum .. string.sub(payload, 1, PREFIX))
end

-- Moves messages that are due to the list or the urgent ones, at most so many and so many bytes. Returns how many went to
-- the list.
local function promote(queue, priority, scheduled, most, bytes)
    local listed = 0
    for _ = 1, most do
        local member = redis.call('ZRANGE', scheduled, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
        if not member or bytes <= 0 then break end
        local level, payload = parts(member)
        -- urgent only while the list is not empty: a waiting consumer waits for the list
        if level ~= '0' and redis.call('EXISTS', queue) == 1 then
            redis.call('ZADD', priority, urgent(level), member)
        else
            redis.call('RPUSH', queue, payload)
            listed = listed + 1
        end
        redis.call('ZREMRANGEBYRANK', scheduled, 0, 0) -- by rank: ZREM would copy and hash a member of 1 MiB again
        bytes = bytes - 2 * #member -- counted twice: copying takes twice as long as moving
    end
    return listed
end

-- Wakes the forwarder, because a message is due before the one it waits for. Without the bell the message is only late, so
-- a refusal (ACL, a key of another type) does not stop the script.
local function ring(bell)
    redis.pcall('LPUSH', bell, 1)
    redis.pcall('LTRIM', bell, 0, 0)
    redis.pcall('PEXPIRE', bell, 5000)
end

-- Leases are deadlines by the server's wall clock, which may jump. A lease that is about to expire (within `grace` ms) is
-- marked first, by half a millisecond; its claim is recovered only if it expires without a renewal since. So after a jump
-- its consumer has `grace` ms to renew it. A deadline further away than a lease was set before a jump back.
-- Returns the names of claims to recover, and the ms until the next lease must be checked (-1: there is none).
local function overdue(leases, lease, grace)
    local far = redis.call('ZRANGE', leases, now + lease + 1000, '+inf', 'BYSCORE', 'LIMIT', 0, EXPIRED)
    for _, name in ipairs(far) do redis.call('ZADD', leases, now + lease, name) end
    local expired = {}
    local first = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
    if not first then return expired, -1 end
    if tonumber(first) <= now + grace then
        local found = redis.call('ZRANGE', leases, '-inf', now + grace, 'BYSCORE', 'LIMIT', 0, 4 * EXPIRED, 'WITHSCORES')
        for i = 1, #found, 2 do
            local score = tonumber(found[i + 1])
            if score % 1 ~= 0.5 then
                redis.call('ZADD', leases, math.max(math.floor(score), now + math.min(grace, lease)) + 0.5, found[i])
            elseif score <= now and #expired < EXPIRED then
                expired[#expired + 1] = found[i]
            end
        end
        first = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
    end
    local left = tonumber(first) - now
    if left % 1 ~= 0.5 then left = left - grace end
    return expired, math.ceil(math.max(0, math.min(left, 3600000)))
end
