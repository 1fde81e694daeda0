-- Makes scheduled messages due now, or deletes them.
-- KEYS: the sorted set. ARGV: "now" or "purge", then score and name of a member for each, from inspect_scheduled.lua.
-- Returns: how many were found. The members themselves never leave Redis: they may be long, and of any bytes.
local done, budget = 0, 64 * 1024 * 1024
for at = 2, #ARGV, 2 do
    local offset = 0
    while budget > 0 do
        local member = redis.call('ZRANGE', KEYS[1], ARGV[at], ARGV[at], 'BYSCORE', 'LIMIT', offset, 1)[1]
        if not member then break end
        budget = budget - #member - 100
        offset = offset + 1
        if redis.sha1hex(string.sub(member, 1, 65536) .. #member) == ARGV[at + 1] then
            if ARGV[1] == 'purge' then
                done = done + redis.call('ZREM', KEYS[1], member)
            else
                -- due since 1970: the next claim takes it, within two seconds
                done = done + redis.call('ZADD', KEYS[1], 'XX', 'CH', 1, member)
            end
            break
        end
    end
end
return done
