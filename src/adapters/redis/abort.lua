-- Records an abort and raises the epoch in one step, so that from here on every transition and every write to the cluster
-- that was decided before is refused. Answers with the state, so that the caller can act without another round trip.
-- KEYS: state, epoch of the service
-- ARGV: schema, abort (JSON: actor and reason)
local recorded = 0
local kept = redis.call('HMGET', KEYS[1], 'schema', 'abortable', 'abort', 'epoch')
-- What a newer Sluice wrote is left alone.
if kept[1] == ARGV[1] and kept[2] == '1' and not kept[3] then
  local known = tonumber(redis.call('GET', KEYS[2]) or 0)
  local epoch = string.format('%.0f', math.max(known, tonumber(kept[4])) + 1)
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'abort', ARGV[2], 'look', 0)
  redis.call('SET', KEYS[2], epoch)
  recorded = 1
end
local read = redis.call('HMGET', KEYS[1], 'schema', 'plan', 'state', 'head', 'abort', 'epoch')
local now = redis.call('TIME')
return { recorded, read[1], read[2], read[3], read[4], read[5], read[6], now[1], now[2] }
