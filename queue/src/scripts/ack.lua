-- active -> gone (asynq: Done), for any number of tasks of one queue.
-- KEYS[1] active, [2] lease, [3] processed, [4] processed of the day
-- ARGV[1] task key prefix, [2] expiry of the day's counter (s), then per task: id, fencing token
-- Returns per task: 1 done, 0 the lease is not the caller's (also when an earlier try got through).
local result, done, keys = {}, {}, {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local key = ARGV[1] .. id
  local fields = redis.call("HMGET", key, "lease_token", "lease_score", "unique_key")
  local score = redis.call("ZSCORE", KEYS[2], id)
  if score and fields[1] == ARGV[i + 1] and tonumber(fields[2]) == tonumber(score) then
    redis.call("LREM", KEYS[1], -1, id)
    if fields[3] and redis.call("GET", fields[3]) == id then
      redis.call("DEL", fields[3])
    end
    done[#done + 1] = id
    keys[#keys + 1] = key
    result[#result + 1] = 1
  else
    result[#result + 1] = 0
  end
end
if #done > 0 then
  redis.call("ZREM", KEYS[2], unpack(done))
  redis.call("DEL", unpack(keys))
  if redis.call("INCRBY", KEYS[4], #done) == #done then
    redis.call("EXPIREAT", KEYS[4], ARGV[2])
  end
  if type(redis.pcall("INCRBY", KEYS[3], #done)) == "table" then
    redis.call("SET", KEYS[3], #done) -- past the largest 64-bit number; asynq starts over, too
  end
end
return result
