#!lua flags=allow-oom
-- Shortens a stream to about so many entries, but never takes what a group has not acknowledged.
--
-- KEYS  1 stream
-- ARGV  1 length     to shorten it to
-- Returns { length now, group that holds it back (empty: none) }.

local stream, length = KEYS[1], tonumber(ARGV[1])
local MOST = 5000 -- in one call

local function before(a, b)
    local a_ms, a_n = string.match(a, '(%d+)-(%d+)')
    local b_ms, b_n = string.match(b, '(%d+)-(%d+)')
    a_ms, a_n, b_ms, b_n = tonumber(a_ms), tonumber(a_n), tonumber(b_ms), tonumber(b_n)
    return a_ms < b_ms or (a_ms == b_ms and a_n < b_n)
end

local excess = redis.call('XLEN', stream) - length
if excess <= 0 then return { length + excess, '' } end

local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', math.min(excess, MOST) + 1)
local cut, holder = oldest[#oldest][1], ''
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
    local needed = group['last-delivered-id']
    if group.pending > 0 then needed = redis.call('XPENDING', stream, group.name)[2] end
    if before(needed, cut) then cut, holder = needed, group.name end
end
redis.call('XTRIM', stream, 'MINID', '~', cut)
return { redis.call('XLEN', stream), holder }
