#!lua flags=allow-oom
-- Settles a batch in a full Redis: it acknowledges handled entries; the rest waits and is delivered again later. It adds
-- nothing.
--
-- KEYS  1 stream
-- ARGV  1 group
--       2 consumer
--       3 waiting    consumer in whose name waiting entries are pending
--       4 before     how often these messages were delivered before
--       5 acked      how many ids of handled messages follow, and these
--       then ids of all others
-- Returns { acknowledged, waiting }.

local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local acknowledged, waits = 0, 0
local last = 5 + tonumber(ARGV[5])
for i = 6, last do acknowledged = acknowledged + redis.call('XACK', stream, group, ARGV[i]) end
for i = last + 1, #ARGV do
    if redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer)[1] then
        redis.call('XCLAIM', stream, group, ARGV[3], 0, ARGV[i], 'RETRYCOUNT', ARGV[4], 'JUSTID')
        waits = waits + 1
    end
end
return { acknowledged, waits }
