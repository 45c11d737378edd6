-- Records a command or click once: the mark and the entry exist together or not at all, so that a replay is never acted on
-- and an acknowledged click is never lost. The mark names the entry, for whoever must take it back or comes with it again. A full
-- inbox takes nothing more: what it would push out was acknowledged.
-- KEYS: seen, inbox
-- ARGV: body, for how long a replay is known (ms), how many entries the inbox takes
local known = redis.call('GET', KEYS[1])
if known then return {'duplicate', known} end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then return {'full'} end
local id = redis.call('XADD', KEYS[2], '*', 'body', ARGV[1])
redis.call('SET', KEYS[1], id, 'PX', ARGV[2])
return {'new', id}
