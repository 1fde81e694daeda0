#!lua flags=allow-oom
-- Finds which messages of a claim are new, where each id is handled once, and marks these. It also runs in a full Redis,
-- which could not be drained otherwise; a mark is smaller than most messages, and each message in flight has one at most.
--
-- KEYS  1 leases     sorted set   claim -> deadline
--       2.. once     strings      one for each message, by its id
-- ARGV  1 claim      the claim of these messages
--       2 lease      ms that the mark of an unfinished message is kept
-- Returns for each: 1 new, marked for this claim; 2 handled before; 3 in flight in another live claim.

local verdicts = {}
for i = 2, #KEYS do
    local holder = redis.call('GET', KEYS[i])
    if holder == 'done' then
        verdicts[#verdicts + 1] = 2
    elseif holder and holder ~= ARGV[1] and redis.call('ZSCORE', KEYS[1], holder) then
        verdicts[#verdicts + 1] = 3
    else
        redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2])
        verdicts[#verdicts + 1] = 1
    end
end
return verdicts
