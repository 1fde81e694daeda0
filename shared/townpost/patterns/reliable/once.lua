#!lua flags=allow-oom
-- Before messages are handled that are to be handled once: which of them are new? Also when Redis is full, for else
-- nothing could be drained; a mark is smaller than most messages, and there is one at most for each message in flight.
--
-- KEYS  1 leases     sorted set   claim -> deadline
--       2.. once     strings      one for each message, by its id
-- ARGV  1 claim      who asks
--       2 lease      ms that an unfinished one is remembered
-- Returns for each: 1 new, it is this claim's now; 2 done before; 3 in the hands of another live claim.

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
