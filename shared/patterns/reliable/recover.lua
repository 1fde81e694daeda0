#!lua flags=allow-oom
-- Takes the messages of a consumer that is gone away from it: its lease has run out.
--
-- KEYS  1 leases     sorted set   claim -> deadline
--       2 suspects   list
--       3 crashes    hash         SHA-1 -> how often its consumer died with it alone
--       4 attempts   hash         SHA-1 -> how often its handler failed
--       5 history    hash         SHA-1 -> earlier deaths
--       6 dead       stream
--       7.. claims
-- ARGV  1 most       crashes before a message is dead
--       2 by         who recovers
-- Returns { messages recovered, messages that died }.
--
-- Only a message that was alone in its claim is blamed: of a batch nobody knows which one it was, and of a claim that
-- was made ahead not even whether it had been begun.

local leases, suspects, crashes, attempts, history, dead =
    KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local most, by = tonumber(ARGV[1]), ARGV[2]
local CHUNK = 500

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local recovered, died = 0, 0

for i = 7, #KEYS do
    local claim = KEYS[i]
    local deadline = redis.call('ZSCORE', leases, claim)
    if deadline and tonumber(deadline) <= now then
        local count = redis.call('LLEN', claim)
        if count == 1 and string.sub(claim, -6) ~= ':ahead' then
            local blamed = redis.call('LINDEX', claim, 0)
            local sum = redis.sha1hex(blamed)
            local crashed = tonumber(redis.call('HGET', crashes, sum) or 0) + 1
            if crashed >= most then
                redis.call('XADD', dead, '*', 'payload', blamed, 'reason', 'crashed',
                    'error', 'its consumer died or hung with it ' .. crashed .. ' times',
                    'attempts', redis.call('HGET', attempts, sum) or 0, 'crashes', crashed,
                    'history', redis.call('HGET', history, sum) or '[]', 'by', by)
                for _, counts in ipairs({ crashes, attempts, history }) do redis.call('HDEL', counts, sum) end
                redis.call('LTRIM', claim, 1, -1)
                died = died + 1
                count = 0
            else
                redis.call('HSET', crashes, sum, crashed)
            end
        end
        recovered = recovered + count
        while count > 0 do
            local part = redis.call('LRANGE', claim, 0, CHUNK - 1)
            redis.call('RPUSH', suspects, unpack(part))
            redis.call('LTRIM', claim, #part, -1)
            count = count - #part
        end
        redis.call('ZREM', leases, claim) -- last: what is refused half-way can be done again
    end
end
return { recovered, died }
