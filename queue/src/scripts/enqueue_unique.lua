-- absent -> pending, taking the uniqueness lock.
-- KEYS[1] pending, [2] lock
-- ARGV[1] task key prefix, [2] now (ns), [3] wake channel, [4] queue name, [5] id, [6] message, [7] lock TTL (s)
-- Returns 1 written, 0 the id exists, -1 another task holds the lock.
-- The hash is tested first: the other order would leave a lock without a task for its whole TTL.
local key = ARGV[1] .. ARGV[5]
if redis.call("EXISTS", key) == 1 then
  return 0
end
if not redis.call("SET", KEYS[2], ARGV[5], "NX", "EX", ARGV[7]) then
  return -1
end
redis.call("HSET", key, "msg", ARGV[6], "state", "pending", "pending_since", ARGV[2], "unique_key", KEYS[2])
if redis.call("LPUSH", KEYS[1], ARGV[5]) <= 8 then
  redis.call("PUBLISH", ARGV[3], "pending:" .. ARGV[4])
end
return 1
