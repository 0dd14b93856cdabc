-- active -> active with a later lease expiry, for any number of tasks of one queue.
-- KEYS[1] lease
-- ARGV[1] task key prefix, [2] new lease expiry (s), then per task: id, fencing token
-- Returns per task: 1 extended, 0 the lease is no longer the caller's (recovered, taken by another, or gone).
-- Starts with an HDEL because Redis lets a script that began with it finish even when memory is short.
local extended = {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local key = ARGV[1] .. id
  local fields = redis.call("HMGET", key, "lease_token", "lease_score")
  local score = redis.call("ZSCORE", KEYS[1], id)
  if score and fields[1] == ARGV[i + 1] and tonumber(fields[2]) == tonumber(score) then
    redis.call("HDEL", key, "lease_score")
    redis.call("ZADD", KEYS[1], "XX", ARGV[2], id)
    redis.call("HSET", key, "lease_score", ARGV[2])
    extended[#extended + 1] = 1
  else
    extended[#extended + 1] = 0
  end
end
return extended
