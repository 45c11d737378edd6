-- Takes a lease that nobody holds; answers how many holders in a row let theirs run out, -1 when somebody holds it.
-- KEYS: lease, count of its holders since one gave it back
-- ARGV: token, ms, how long the count is kept (ms)
if not redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return -1 end
local holders = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return holders - 1
