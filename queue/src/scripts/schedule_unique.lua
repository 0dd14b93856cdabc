-- absent -> scheduled, taking the uniqueness lock.
-- KEYS[1] scheduled, [2] lock
-- ARGV[1] task key prefix, [2] wake channel, [3] id, [4] message, [5] due (s), [6] due (ms), [7] lock TTL (s)
-- Returns 1 written, 0 the id exists, -1 another task holds the lock.
local key = ARGV[1] .. ARGV[3]
if redis.call("EXISTS", key) == 1 then
  return 0
end
if not redis.call("SET", KEYS[2], ARGV[3], "NX", "EX", ARGV[7]) then
  return -1
end
redis.call("HSET", key, "msg", ARGV[4], "state", "scheduled", "process_at_ms", ARGV[6], "unique_key", KEYS[2])
redis.call("ZADD", KEYS[1], ARGV[5], ARGV[3])
redis.call("PUBLISH", ARGV[2], "due:" .. ARGV[6])
return 1
