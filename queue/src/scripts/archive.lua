-- active -> archived, and the oldest archived tasks -> gone.
-- KEYS[1] active, [2] lease, [3] archived, [4] processed, [5] processed of the day, [6] failed, [7] failed of the day
-- ARGV[1] task key prefix, [2] expiry of the day's counters (s), [3] now (s), [4] id, [5] fencing token,
--         [6] lease expiry (s) seen by a recoverer, which has no token, [7] message (empty: stays as it is, unread),
--         [8] oldest time to keep (s), [9] number to keep, [10] number to trim per step
-- Returns {1 done | 0 the lease is not the caller's, number of old tasks trimmed}.
-- Trims in steps: asynq hands all ids to one command, which dies beyond about 8,000 after having deleted the hashes.
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
  return { 0, 0 }
end
redis.call("LREM", KEYS[1], -1, id)
redis.call("ZREM", KEYS[2], id)
redis.call("HDEL", key, "lease_token", "lease_score")
redis.call("HSET", key, "state", "archived")
if ARGV[7] ~= "" then
  redis.call("HSET", key, "msg", ARGV[7])
end
redis.call("ZADD", KEYS[3], ARGV[3], id)

local function trim(ids)
  for _, old in ipairs(ids) do
    if redis.call("HGET", ARGV[1] .. old, "state") == "archived" then
      redis.call("DEL", ARGV[1] .. old)
    end
  end
  redis.call("ZREM", KEYS[3], unpack(ids))
end

local trimmed, step = 0, tonumber(ARGV[10])
local ids = redis.call("ZRANGEBYSCORE", KEYS[3], "-inf", ARGV[8], "LIMIT", 0, step)
while #ids > 0 do
  trim(ids)
  trimmed = trimmed + #ids
  ids = redis.call("ZRANGEBYSCORE", KEYS[3], "-inf", ARGV[8], "LIMIT", 0, step)
end
local excess = redis.call("ZCARD", KEYS[3]) - tonumber(ARGV[9])
while excess > 0 do
  ids = redis.call("ZRANGE", KEYS[3], 0, math.min(excess, step) - 1)
  trim(ids)
  trimmed = trimmed + #ids
  excess = excess - #ids
end

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
return { 1, trimmed }
