-- A token bucket, kept as the one time at which it is full again; Redis' clock, since the replicas share it.
-- KEYS: bucket
-- ARGV: time in which one call is earned (ms), how many may come at once, how long anybody is held back at most (ms)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Further ahead than anybody is held back for: of before Redis' clock was set back.
if tonumber(redis.call('GET', KEYS[1]) or 0) > now + ARGV[1] * ARGV[2] + ARGV[3] then redis.call('DEL', KEYS[1]) end
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
local wait = full - ARGV[2] * ARGV[1] - now
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now))
return 0
