-- Ids that are overdue in an index, oldest first; their time moves ahead in the same step, so that one replica gets each.
-- KEYS: index
-- ARGV: overdue by (ms), moved ahead by (ms), how many at most
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1]), 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now + ARGV[2]), id) end
return ids
