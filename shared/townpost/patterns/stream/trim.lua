#!lua flags=allow-oom
-- Shortens a stream to about so many entries, but removes no entry that a group has not acknowledged. It reads no entry.
--
-- KEYS  1 stream
-- ARGV  1 length     entries to keep
--       2 most       entries to remove in this call
-- Returns { length now, group that prevents more (empty: none) }.

local stream, length = KEYS[1], tonumber(ARGV[1])
local NODE = 100 -- entries, that are only removed together

local function before(a, b)
    local a_ms, a_n = string.match(a, '(%d+)-(%d+)')
    local b_ms, b_n = string.match(b, '(%d+)-(%d+)')
    if a_ms ~= b_ms then return #a_ms < #b_ms or (#a_ms == #b_ms and a_ms < b_ms) end
    return #a_n < #b_n or (#a_n == #b_n and a_n < b_n)
end

local excess = redis.call('XLEN', stream) - length
if excess <= 0 then return { length + excess, '' } end

local needed, holder
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
    local first = group['last-delivered-id']
    if group.pending > 0 then first = redis.call('XPENDING', stream, group.name)[2] end
    if not needed or before(first, needed) then needed, holder = first, group.name end
end

-- LIMIT keeps as many entries as requested, MINID those that are needed; the larger number stays
local limit = math.min(excess, tonumber(ARGV[2]))
local removed
if needed then
    removed = redis.call('XTRIM', stream, 'MINID', '~', needed, 'LIMIT', limit)
else
    removed = redis.call('XTRIM', stream, 'MAXLEN', '~', length, 'LIMIT', limit)
end
local held_back = needed and excess - removed > NODE and removed + NODE < limit
return { length + excess - removed, held_back and holder or '' }
