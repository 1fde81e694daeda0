-- Strings that are not too long.
-- KEYS: theirs. ARGV: the most bytes. Returns: each of them; false for one that is longer, absent or of another type.
local most, found = tonumber(ARGV[1]), {}
for place, key in ipairs(KEYS) do
    local text = redis.pcall('GETRANGE', key, 0, most)
    found[place] = type(text) == 'string' and #text > 0 and #text <= most and text or false
end
return found
