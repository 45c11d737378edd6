-- Begins a rollout: takes the service's lock and writes the rollout with its first event, or writes nothing at all.
-- KEYS: state, events, outbox, lock, epoch of the service, inbox
-- ARGV: 1 id, 2 key of a rollout's state without its id, 3 epoch, 4 head, 5 phase, 6 abortable, 7 time, 8 event, 9 plan,
--   10 state, 11 schema, 12 intake (or ''), 13 abort (or ''),
--   14 when it is to be looked at, then key and note (or '') of each message
local state, events, outbox, lock, epochs, inbox = unpack(KEYS)
-- Two replicas may work on one entry of the inbox: it starts one rollout.
if ARGV[12] ~= '' and #redis.call('XRANGE', inbox, ARGV[12], ARGV[12]) == 0 then return { 'gone', ARGV[12] } end
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

-- Aborted from birth: as if the abort were recorded right after.
local epoch = string.format('%.0f', ARGV[3] + (ARGV[13] ~= '' and 1 or 0))
redis.call('SET', lock, ARGV[1])
redis.call('SET', epochs, epoch)
redis.call('HSET', state, 'schema', ARGV[11], 'plan', ARGV[9], 'state', ARGV[10], 'ver', 1, 'epoch', epoch,
  'head', ARGV[4], 'phase', ARGV[5], 'abortable', ARGV[6], 'look', ARGV[14])
if ARGV[13] ~= '' then redis.call('HSET', state, 'abort', ARGV[13]) end
redis.call('RPUSH', events, ARGV[7] .. ' ' .. ARGV[4] .. ' ' .. ARGV[8])
for i = 15, #ARGV, 2 do
  redis.call('XADD', outbox, '1-' .. (i - 13) / 2, 'key', ARGV[i], 'note', ARGV[i + 1])
end
if ARGV[12] ~= '' then redis.call('XDEL', inbox, ARGV[12]) end
return { 'created', '' }
