-- Gives back a lease that is still one's own: after it ran out it may be somebody else's. What fails keeps the time of its
-- first failure, and of the first that lasts, until it is done once.
-- KEYS: lease, what its holders left
-- ARGV: token; 'done', 'failed', 'lasting', 'undone' or 'untried'; how long what they left is kept (ms)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == 'done' then
  redis.call('DEL', KEYS[2])
elseif ARGV[2] ~= 'untried' then
  redis.call('HSET', KEYS[2], 'holders', 0)
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
if ARGV[2] == 'failed' or ARGV[2] == 'lasting' then
  local time = redis.call('TIME')
  local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSETNX', KEYS[2], 'failing', now)
  if ARGV[2] == 'lasting' then redis.call('HSETNX', KEYS[2], 'lasting', now) end
end
return redis.call('DEL', KEYS[1])
