-- active -> retry.
-- KEYS[1] active, [2] lease, [3] retry, [4] processed, [5] processed of the day, [6] failed, [7] failed of the day
-- ARGV[1] task key prefix, [2] expiry of the day's counters (s), [3] wake channel, [4] id, [5] fencing token,
--         [6] lease expiry (s) seen by a recoverer, which has no token, [7] message, [8] due (s), [9] due (ms),
--         [10] 1 counted
-- Returns 1 done, 0 the lease is not the caller's (for a recoverer: was extended or taken meanwhile).
local id = ARGV[4]
local key = ARGV[1] .. id
local score = redis.call("ZSCORE", KEYS[2], id)
local mine
if ARGV[5] == "" then
  mine = score and tonumber(score) == tonumber(ARGV[6])
else
  local fields = redis.call("HMGET", key, "lease_token", "lease_score")
  mine = score and fields[1] == ARGV[5] and tonumber(fields[2]) == tonumber(score)
end
if not mine then
  return 0
end
redis.call("LREM", KEYS[1], -1, id)
redis.call("ZREM", KEYS[2], id)
redis.call("HDEL", key, "lease_token", "lease_score")
redis.call("HSET", key, "msg", ARGV[7], "state", "retry", "process_at_ms", ARGV[9])
local first = redis.call("ZRANGE", KEYS[3], 0, 0, "WITHSCORES")[2]
redis.call("ZADD", KEYS[3], ARGV[8], id)
if not first or tonumber(ARGV[8]) <= tonumber(first) then
  redis.call("PUBLISH", ARGV[3], "due:" .. ARGV[9])
end
if ARGV[10] == "1" then
  for _, day in ipairs({ KEYS[5], KEYS[7] }) do
    if redis.call("INCR", day) == 1 then
      redis.call("EXPIREAT", day, ARGV[2])
    end
  end
  if type(redis.pcall("INCR", KEYS[4])) == "table" then
    redis.call("SET", KEYS[4], 1)
    redis.call("SET", KEYS[6], 1)
  else
    redis.call("INCR", KEYS[6])
  end
end
return 1
