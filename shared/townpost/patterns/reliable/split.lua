#!lua flags=allow-oom
-- Returns the unstarted messages of a batch to the head of the queue, in order, while its consumer handles the rest.
--
-- KEYS  1 queue      list         ready messages
--       2 leases     sorted set   claim -> deadline
--       3 claim      list         the batch that is being handled
--       4.. ahead    lists        claims made ahead: all their messages go back
--        .. once     strings      marks of the unstarted ids: they are deleted
-- ARGV  1 length     of the claim, as its consumer counts; if it differs, the claim was split before and stays as it is
--       2 kept       how many of its messages were begun
--       3 ahead      how many claims
-- Returns { given back from the claim, given back from each claim ahead... }; -1 for a claim that does not exist (yet).

local queue, leases, claim = KEYS[1], KEYS[2], KEYS[3]

local function give_back(from, kept)
    local count = redis.call('LLEN', from) - kept
    for _ = 1, count do redis.call('LMOVE', from, queue, 'RIGHT', 'LEFT') end
    return math.max(count, 0)
end

local given = { 0 }
local last = 3 + tonumber(ARGV[3])
for i = 4, last do
    if redis.call('ZSCORE', leases, KEYS[i]) then
        given[i - 2] = give_back(KEYS[i], 0)
        redis.call('ZREM', leases, KEYS[i])
    else
        given[i - 2] = -1
    end
end
if redis.call('ZSCORE', leases, claim) and redis.call('LLEN', claim) == tonumber(ARGV[1]) then
    given[1] = give_back(claim, tonumber(ARGV[2]))
    for i = last + 1, #KEYS do
        if redis.call('GET', KEYS[i]) == claim then redis.call('DEL', KEYS[i]) end
    end
end
return given
