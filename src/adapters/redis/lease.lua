-- Takes a lease that nobody holds; answers how many holders in a row let theirs run out (-1: somebody holds it), and since when
-- the work under it fails, and with what lasts (ms).
-- KEYS: lease, what its holders left
-- ARGV: token, ms, how long what they left is kept (ms), how long nobody may have tried (ms), from how many on this one is not
--   counted yet ('' for never)
-- One that lasts (a second) longer than any was taken for is of before Redis' clock was set back.
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) + 1000 then redis.call('DEL', KEYS[1]) end
if not redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return { -1 } end
-- What nobody tried did not fail: the time before a pause of everybody does not count.
local untried = ARGV[3] - redis.call('PTTL', KEYS[2])
local time = redis.call('TIME')
for _, since in ipairs({ 'failing', 'lasting' }) do
  local isAhead = tonumber(redis.call('HGET', KEYS[2], since) or 0) > time[1] * 1000 + 1000
  if untried > tonumber(ARGV[4]) or isAhead then redis.call('HDEL', KEYS[2], since) end
end
local abandoned = tonumber(redis.call('HGET', KEYS[2], 'holders') or 0)
if ARGV[5] == '' or abandoned < tonumber(ARGV[5]) then redis.call('HINCRBY', KEYS[2], 'holders', 1) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return { abandoned, redis.call('HGET', KEYS[2], 'failing'), redis.call('HGET', KEYS[2], 'lasting') }
