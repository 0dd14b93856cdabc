-- completed -> gone, for those whose retention ended.
-- KEYS[1] completed
-- ARGV[1] task key prefix, [2] now (s), [3] most entries
-- Returns the number deleted.
local ids = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[2], "LIMIT", 0, ARGV[3])
for _, id in ipairs(ids) do
  if redis.call("HGET", ARGV[1] .. id, "state") == "completed" then
    redis.call("DEL", ARGV[1] .. id)
  end
  redis.call("ZREM", KEYS[1], id)
end
return #ids
