-- One transition, all or nothing, and only on top of exactly what was loaded: two replicas that decide on the same version
-- cannot both win, and what was decided before an abort was recorded cannot follow it.
-- KEYS: state, events, outbox, lock, epoch of the service, inbox, releases
-- ARGV: 1 id; as loaded: 2 version, 3 epoch, 4 head, 5 time; 6 '1' if this is the abort;
--   as decided: 7 version, 8 epoch, 9 head, 10 phase, 11 abortable, 12 state, 13 event; 14 intake (or '');
--   15 for how long an ended rollout is kept, ms ('' while it runs); 16 longest age of what was loaded, ms;
--   17 length of the list of releases; 18 when it is to be looked at; 19 its thread (or ''); 20 number of messages, then key and
--   note (or '') of each; then the releases
local state, events, outbox, lock, epochs, inbox, releases = unpack(KEYS)
-- Two replicas may work on one entry of the inbox: what it asks for is done once.
if ARGV[14] ~= '' and #redis.call('XRANGE', inbox, ARGV[14], ARGV[14]) == 0 then return { 'gone' } end
local kept = redis.call('HMGET', state, 'ver', 'epoch', 'head', 'abort')
local now = redis.call('TIME')
if kept[1] ~= ARGV[2] then return { 'version' } end
if kept[2] ~= ARGV[3] then return { 'epoch' } end
if kept[3] ~= ARGV[4] then return { 'head' } end
local aborts = ARGV[6] == '1'
if kept[4] and not aborts then return { 'abort' } end
if tonumber(ARGV[8]) < tonumber(ARGV[3]) then return { 'lower epoch' } end
-- A process that was frozen between load and save has missed what time would have decided. An abort is right at any time.
if not aborts and now[1] * 1000 + now[2] / 1000 - ARGV[5] > tonumber(ARGV[16]) then return { 'stale' } end

redis.call('RPUSH', events, ARGV[5] .. ' ' .. ARGV[9] .. ' ' .. ARGV[13])
redis.call('HSET', state, 'state', ARGV[12], 'ver', ARGV[7], 'epoch', ARGV[8], 'head', ARGV[9], 'phase', ARGV[10],
  'abortable', ARGV[11], 'look', ARGV[18], 'thread', ARGV[19])
if kept[4] then redis.call('HDEL', state, 'abort') end
if ARGV[8] ~= ARGV[3] and tonumber(redis.call('GET', epochs) or 0) < tonumber(ARGV[8]) then
  redis.call('SET', epochs, ARGV[8])
end
local messages = tonumber(ARGV[20])
for n = 1, messages do
  redis.call('XADD', outbox, ARGV[7] .. '-' .. n, 'key', ARGV[19 + 2 * n], 'note', ARGV[20 + 2 * n])
end
for i = 21 + 2 * messages, #ARGV do redis.call('LPUSH', releases, ARGV[i]) end
if #ARGV > 20 + 2 * messages then redis.call('LTRIM', releases, 0, ARGV[17] - 1) end
if ARGV[14] ~= '' then redis.call('XDEL', inbox, ARGV[14]) end
if ARGV[15] ~= '' then
  if redis.call('GET', lock) == ARGV[1] then redis.call('DEL', lock) end
  for _, key in ipairs({ state, events, outbox }) do redis.call('PEXPIRE', key, ARGV[15]) end
end
return { 'saved', now[1], now[2] }
