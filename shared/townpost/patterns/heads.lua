-- The first element of lists, cut.
-- KEYS: the lists. ARGV: how many bytes of each.
-- Returns, for each list: its length, the beginning of its first element (false: none, or too large to be looked at),
-- and how long that is. A script that reads an element copies it, so what is far too large is left alone: the server
-- tells what the first of its nodes takes up, times their number.
local cut, found = tonumber(ARGV[1]), {}
for place, key in ipairs(KEYS) do
    local length = redis.pcall('LLEN', key)
    if type(length) ~= 'number' then
        found[place] = {false, false, 0}
    else
        local used = length > 0 and redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 1) or 0
        if length == 0 or (type(used) == 'number' and used / length > 2 * 1024 * 1024) then
            found[place] = {length, false, length > 0 and math.floor(used / length) or 0}
        else
            local first = redis.call('LINDEX', key, 0)
            found[place] = {length, first and string.sub(first, 1, cut), first and #first or 0}
        end
    end
end
return found
