-- Takes shown messages out of the outbox. An empty stream still costs memory, and a waiting rollout's is empty; a transition
-- must not come between the look and the deletion.
-- KEYS: outbox
-- ARGV: entries
-- A call in Lua takes some 8,000 arguments: a long outage of Slack leaves more.
local batch = 1000
for first = 1, #ARGV, batch do
  redis.call('XDEL', KEYS[1], unpack(ARGV, first, math.min(first + batch - 1, #ARGV)))
end
local left = redis.call('XLEN', KEYS[1])
if left == 0 then redis.call('DEL', KEYS[1]) end
return left
