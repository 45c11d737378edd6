-- Ids that are overdue in an index, oldest first; their time moves ahead in the same step, so that one replica gets each.
-- KEYS: index
-- ARGV: overdue by (ms), moved ahead by (ms), how many at most, how far ahead none is by itself (ms; '' for no bound)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1]), 'LIMIT', 0, ARGV[3])
-- Of before Redis' clock was set back.
if ARGV[4] ~= '' then
  local ahead = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', now + ARGV[4]), '+inf', 'LIMIT', 0, ARGV[3] - #ids)
  for _, id in ipairs(ahead) do ids[#ids + 1] = id end
end
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now + ARGV[2]), id) end
return ids
