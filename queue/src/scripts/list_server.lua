-- Lists a server in the register of all servers or of their workers, and takes out those that died long ago.
-- KEYS[1] register
-- ARGV[1] expiry (s) of the entry, [2] latest expiry (s) of those that died, [3] entry
-- Returns 1.
-- The first write is a removal because Redis lets a script that began with one finish even when memory is short.
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", ARGV[2])
redis.call("ZADD", KEYS[1], ARGV[1], ARGV[3])
return 1
