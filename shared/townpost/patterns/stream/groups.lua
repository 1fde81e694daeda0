#!lua flags=no-writes
-- Finds the groups to which dead letters of a stream belong.
--
-- KEYS  1 dead       stream
-- ARGV  1.. ids of dead letters
-- Returns the group of each; empty where the dead letter does not exist or names no group.

local found = {}
for i = 1, #ARGV do
    found[i] = ''
    local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
    for j = 1, entry and #entry[2] or 0, 2 do
        if entry[2][j] == 'group' then found[i] = entry[2][j + 1] end
    end
end
return found
