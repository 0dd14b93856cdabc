-- active -> completed (success with a retention).
-- KEYS[1] active, [2] lease, [3] completed, [4] processed, [5] processed of the day
-- ARGV[1] task key prefix, [2] expiry of the day's counter (s), [3] id, [4] fencing token, [5] message,
--         [6] end of retention (s)
-- Returns 1 done, 0 the lease is not the caller's.
local key = ARGV[1] .. ARGV[3]
local fields = redis.call("HMGET", key, "lease_token", "lease_score", "unique_key")
local score = redis.call("ZSCORE", KEYS[2], ARGV[3])
if not score or fields[1] ~= ARGV[4] or tonumber(fields[2]) ~= tonumber(score) then
  return 0
end
redis.call("LREM", KEYS[1], -1, ARGV[3])
redis.call("ZREM", KEYS[2], ARGV[3])
redis.call("HDEL", key, "lease_token", "lease_score")
redis.call("HSET", key, "msg", ARGV[5], "state", "completed")
redis.call("ZADD", KEYS[3], ARGV[6], ARGV[3])
if fields[3] and redis.call("GET", fields[3]) == ARGV[3] then
  redis.call("DEL", fields[3])
end
if redis.call("INCR", KEYS[5]) == 1 then
  redis.call("EXPIREAT", KEYS[5], ARGV[2])
end
if type(redis.pcall("INCR", KEYS[4])) == "table" then
  redis.call("SET", KEYS[4], 1)
end
return 1
