-- active -> pending, to run next, with no retry used up; for any number of tasks of one queue.
-- KEYS[1] active, [2] lease, [3] pending
-- ARGV[1] task key prefix, [2] now (ns), [3] wake channel, [4] queue name, then per task: id, fencing token
-- Returns per task: 1 requeued, 0 the lease is not the caller's.
local result, ids = {}, {}
for i = 5, #ARGV, 2 do
  local id = ARGV[i]
  local key = ARGV[1] .. id
  local fields = redis.call("HMGET", key, "lease_token", "lease_score")
  local score = redis.call("ZSCORE", KEYS[2], id)
  if score and fields[1] == ARGV[i + 1] and tonumber(fields[2]) == tonumber(score) then
    redis.call("LREM", KEYS[1], -1, id)
    redis.call("ZREM", KEYS[2], id)
    redis.call("HDEL", key, "lease_token", "lease_score")
    redis.call("HSET", key, "state", "pending", "pending_since", ARGV[2])
    redis.call("RPUSH", KEYS[3], id)
    ids[#ids + 1] = id
    result[#result + 1] = 1
  else
    result[#result + 1] = 0
  end
end
if #ids > 0 then
  redis.call("PUBLISH", ARGV[3], "pending:" .. ARGV[4])
end
return result
