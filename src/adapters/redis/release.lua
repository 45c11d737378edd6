-- Gives back a lease that is still one's own: after it ran out it may be somebody else's.
-- KEYS: lease, count of its holders since one gave it back
-- ARGV: token
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])
