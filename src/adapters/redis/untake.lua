-- Takes a request back whose recording was not answered in time: an entry that exists goes, one that is still on its way is
-- refused as a replay. 0-0 is the id of no entry.
-- KEYS: seen, inbox
-- ARGV: for how long a replay is known (ms)
local id = redis.call('GET', KEYS[1])
if id then redis.call('XDEL', KEYS[2], id) end
redis.call('SET', KEYS[1], '0-0', 'PX', ARGV[1])
