-- A rollout together with the time at which it was read: the next transition is decided with that time.
-- KEYS: state
local read = redis.call('HMGET', KEYS[1], 'schema', 'plan', 'state', 'head', 'abort', 'epoch')
local now = redis.call('TIME')
read[7], read[8] = now[1], now[2]
return read
