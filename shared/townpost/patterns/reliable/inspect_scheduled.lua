-- Lists scheduled messages in pages, each message cut.
-- KEYS: the sorted set, the hash of attempts. ARGV: where to begin, how many, bytes of each, characters before a payload.
-- Returns: how many there are, then {name of the member, score, level, beginning of the payload, its bytes, attempts}
-- for each; a page ends early where its messages are large. The name is the SHA-1 of its first 64 KiB and its length:
-- hashing 50 MiB holds up the server for 100 ms. The attempts of such a large message are not looked up.
local place, most, cut, stamp = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local found = {redis.call('ZCARD', KEYS[1])}
local budget = 16 * 1024 * 1024
while #found <= most and budget > 0 do
    local one = redis.call('ZRANGE', KEYS[1], place, place, 'WITHSCORES')
    if #one == 0 then break end
    local member = one[1]
    local payload = string.sub(member, stamp + 1)
    local failed = #payload <= 1048576 and redis.pcall('HGET', KEYS[2], redis.sha1hex(payload))
    budget = budget - #member
    place = place + 1
    found[#found + 1] = {
        redis.sha1hex(string.sub(member, 1, 65536) .. #member), one[2], string.sub(member, stamp, stamp), string.sub(payload, 1, cut), #payload,
        type(failed) == 'string' and #failed < 19 and failed or '0'
    }
end
return found
