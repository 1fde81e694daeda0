-- The members of a sorted set that can be names, a bounded number of them, with their scores.
-- KEYS: the set. ARGV: how many are looked at, highest first; the longest name.
-- Returns: name, score, ...
-- Anyone may have written a member of any length: it is looked at here, and only what is short is sent.
local most, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local there = redis.call('ZCARD', KEYS[1])
local found = {}
local budget = 4 * 1024 * 1024
local place = 0
while place < most and place < there and budget > 0 do
    local upto = place + (place == 0 and 0 or 49)
    local some = redis.call('ZREVRANGE', KEYS[1], place, math.min(upto, most - 1), 'WITHSCORES')
    for at = 1, #some, 2 do
        local name = some[at]
        budget = budget - #name
        if #name <= longest then
            found[#found + 1] = name
            found[#found + 1] = some[at + 1]
        end
    end
    place = upto + 1
end
return found
