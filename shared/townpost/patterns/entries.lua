-- Entries of a stream, a bounded number of bytes of them, with some of their fields, each cut.
-- KEYS: the stream. ARGV: how many, bytes of each field, where to begin and end (XRANGE), then names of fields;
-- an end of "" stands for single entries: then what follows are ids, and the one field is "message".
-- Returns: {id, {field, beginning, bytes in all, ...}} for each.
local most, cut = tonumber(ARGV[1]), tonumber(ARGV[2])
local first, last = ARGV[3], ARGV[4]
local budget = 16 * 1024 * 1024
local found, wanted, ids = {}, {}, {}
if last == '' then
    wanted.message = true
    for at = 5, #ARGV do ids[#ids + 1] = ARGV[at] end
    most = #ids
else
    for at = 5, #ARGV do wanted[ARGV[at]] = true end
end
while #found < most and budget > 0 do
    if last == '' then first = ids[#found + 1] end
    local entry = redis.call('XRANGE', KEYS[1], first, last == '' and first or last, 'COUNT', 1)[1]
    if not entry then
        if last ~= '' then break end
        found[#found + 1] = {first, {}}
    else
        local some = {}
        for at = 1, #entry[2], 2 do
            local name, value = entry[2][at], entry[2][at + 1]
            budget = budget - #name - #value
            if wanted[name] then
                some[#some + 1] = name
                some[#some + 1] = string.sub(value, 1, cut)
                some[#some + 1] = #value
            end
        end
        found[#found + 1] = {entry[1], some}
        first = '(' .. entry[1]
    end
end
return found
