-- Lists the claims of a queue, at most so many, with their deadlines.
-- KEYS: the leases. ARGV: what the name of a claim begins with (as a pattern of MATCH), how many, the longest name.
-- Returns: how many there are, then name, deadline, ...
-- ZSCAN skips other members inside the server: ZRANGE would copy them, whatever their length.
local pattern, most, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local there = redis.call('ZCARD', KEYS[1])
local found, cursor, left = {there}, '0', 20
repeat
    local reply = redis.call('ZSCAN', KEYS[1], cursor, 'MATCH', pattern, 'COUNT', 100)
    cursor = reply[1]
    for at = 1, #reply[2], 2 do
        if #reply[2][at] <= longest and (#found - 1) / 2 < most then
            found[#found + 1] = reply[2][at]
            found[#found + 1] = reply[2][at + 1]
        end
    end
    left = left - 1
until cursor == '0' or left == 0
if cursor == '0' and (#found - 1) / 2 < most then
    found[1] = (#found - 1) / 2
end
return found
