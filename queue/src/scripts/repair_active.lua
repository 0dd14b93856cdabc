-- Repairs what other programs, evictions or partial writes left in active and lease ("ghosts").
-- KEYS[1] active, [2] lease
-- ARGV[1] task key prefix, [2] lease expiry (s) for a task that has none, [3] most entries to look at
-- Returns the number of repairs.
--   in active without a message      -> dropped
--   in active without a lease        -> gets the lease its holder last wrote, or a fresh one that any recoverer finds expired
--   in lease, but not active by state -> dropped from lease
--   in lease, active by state, not in the list -> put back into the list
local repairs, listed = 0, {}
for _, id in ipairs(redis.call("LRANGE", KEYS[1], -tonumber(ARGV[3]), -1)) do
  local fields = redis.call("HMGET", ARGV[1] .. id, "msg", "lease_score", "state")
  listed[id] = true
  if not fields[1] or fields[3] ~= "active" then
    redis.call("LREM", KEYS[1], 0, id)
    redis.call("ZREM", KEYS[2], id)
    if not fields[1] then
      redis.call("DEL", ARGV[1] .. id)
    end
    repairs = repairs + 1
  elseif not redis.call("ZSCORE", KEYS[2], id) then
    redis.call("ZADD", KEYS[2], fields[2] or ARGV[2], id)
    repairs = repairs + 1
  end
end
for _, id in ipairs(redis.call("ZRANGE", KEYS[2], 0, tonumber(ARGV[3]) - 1)) do
  if not listed[id] then
    if redis.call("HGET", ARGV[1] .. id, "state") ~= "active" then
      redis.call("ZREM", KEYS[2], id)
      repairs = repairs + 1
    elseif not redis.call("LPOS", KEYS[1], id) then
      redis.call("LPUSH", KEYS[1], id)
      repairs = repairs + 1
    end
  end
end
return repairs
