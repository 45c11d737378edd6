-- Prolongs a lease that is still held: one that ran out may be somebody else's by now.
-- KEYS: lease
-- ARGV: token, ms
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
