-- Begins a rollout: takes the service's lock and writes the rollout with its first event, or writes nothing at all.
-- KEYS: state, events, outbox, lock, epoch of the service, inbox
-- ARGV: 1 id, 2 key of a rollout's state without its id, 3 epoch, 4 head, 5 phase, 6 abortable, 7 time, 8 event, 9 plan,
--   10 state, 11 schema, 12 intake (or ''), then key and note (or '') of each message
local state, events, outbox, lock, epochs, inbox = unpack(KEYS)
local holder = redis.call('GET', lock)
if holder then
  -- A lock whose rollout ended or was lost holds nothing. The holder's key has the tag of the keys above.
  local phase = redis.call('HGET', ARGV[2] .. holder, 'phase')
  if phase and phase ~= 'succeeded' and phase ~= 'aborted' then return { 'busy', holder } end
end
if redis.call('EXISTS', state) == 1 then return { 'exists', ARGV[1] } end
-- Fencing tokens are never used twice.
local known = redis.call('GET', epochs) or '0'
if tonumber(known) >= tonumber(ARGV[3]) then return { 'epoch', known } end

redis.call('SET', lock, ARGV[1])
redis.call('SET', epochs, ARGV[3])
redis.call('HSET', state, 'schema', ARGV[11], 'plan', ARGV[9], 'state', ARGV[10], 'ver', 1, 'epoch', ARGV[3],
  'head', ARGV[4], 'phase', ARGV[5], 'abortable', ARGV[6])
redis.call('RPUSH', events, ARGV[7] .. ' ' .. ARGV[4] .. ' ' .. ARGV[8])
for i = 13, #ARGV, 2 do
  redis.call('XADD', outbox, '1-' .. (i - 11) / 2, 'key', ARGV[i], 'note', ARGV[i + 1])
end
if ARGV[12] ~= '' then redis.call('XDEL', inbox, ARGV[12]) end
return { 'created', '' }
