-- Counts the holder of a lease, who has waited for a turn with it; after it ran out it may be somebody else's.
-- KEYS: lease, what its holders left
-- ARGV: token
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('HINCRBY', KEYS[2], 'holders', 1) end
