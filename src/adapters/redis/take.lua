-- Records a command or click once: the mark and the entry exist together or not at all, so that a replay is never acted on
-- and an acknowledged click is never lost.
-- KEYS: seen, inbox
-- ARGV: body, for how long a replay is known (ms), about how many entries the inbox keeps
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then return false end
return redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'body', ARGV[1])
