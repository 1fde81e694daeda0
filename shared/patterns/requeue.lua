#!lua
-- Puts dead letters back where they came from: attempts and crashes start anew, the history of deaths is kept.
--
-- KEYS  1 origin     list or stream
--       2 dead       stream
--       3 history    hash         SHA-1 -> earlier deaths, as JSON (of a list; a stream's entry carries its own)
-- ARGV  1 pattern    "reliable" or "stream"
--       2 payload    to put in the place of what they hold; empty: as it is
--       3.. ids of dead letters
-- Returns how many there were.

local origin, dead, history = KEYS[1], KEYS[2], KEYS[3]
local count = 0
for i = 3, #ARGV do
    local entry = redis.call('XRANGE', dead, ARGV[i], ARGV[i])[1]
    if entry then
        local letter = {}
        for j = 1, #entry[2], 2 do letter[entry[2][j]] = entry[2][j + 1] end
        local payload = ARGV[2] ~= '' and ARGV[2] or letter.payload
        local readable, past = pcall(cjson.decode, letter.history or '[]')
        if not readable or type(past) ~= 'table' then past = {} end
        past[#past + 1] = {
            id = entry[1], reason = letter.reason, error = letter.error,
            attempts = tonumber(letter.attempts), crashes = tonumber(letter.crashes), by = letter.by,
        }
        if ARGV[1] == 'stream' then
            redis.call('XADD', origin, '*', 'message', payload, 'history', cjson.encode(past))
        else
            redis.call('HSET', history, redis.sha1hex(payload), cjson.encode(past))
            redis.call('RPUSH', origin, payload)
        end
        redis.call('XDEL', dead, ARGV[i])
        count = count + 1
    end
end
if redis.call('XLEN', dead) == 0 then redis.call('DEL', dead) end
return count
