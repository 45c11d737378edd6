-- Takes shown messages out of the outbox. An empty stream still costs memory, and a waiting rollout's is empty; a transition
-- must not come between the look and the deletion.
-- KEYS: outbox
-- ARGV: entries
redis.call('XDEL', KEYS[1], unpack(ARGV))
local left = redis.call('XLEN', KEYS[1])
if left == 0 then redis.call('DEL', KEYS[1]) end
return left
