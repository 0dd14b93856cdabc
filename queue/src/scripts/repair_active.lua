-- Repairs what other programs, evictions or partial writes left in active and lease ("ghosts").
-- KEYS[1] active, [2] lease
-- ARGV[1] task key prefix, [2] lease expiry (s) for a task that has none, [3] entries to read, at most, [4] now (s)
-- Returns the number of repairs.
--   in active without a message      -> dropped
--   in active without a lease        -> gets the lease its holder last wrote while that lasts; else a fresh one, which
--                                       any recoverer finds expired, and the old holder is fenced off: a Go worker,
--                                       which leaves our fields as they are, may have the task by now
--   in lease, but not active by state -> dropped from lease
--   in lease, active by state, not in the list -> put back into the list
local repairs, listed = 0, {}
for _, id in ipairs(redis.call("LRANGE", KEYS[1], -tonumber(ARGV[3]), -1)) do
  local fields = redis.call("HMGET", ARGV[1] .. id, "lease_score", "state")
  local is_there = redis.call("HEXISTS", ARGV[1] .. id, "msg") == 1
  listed[id] = true
  if not is_there or fields[2] ~= "active" then
    redis.call("LREM", KEYS[1], 0, id)
    redis.call("ZREM", KEYS[2], id)
    if not is_there then
      redis.call("DEL", ARGV[1] .. id)
    end
    repairs = repairs + 1
  elseif not redis.call("ZSCORE", KEYS[2], id) then
    local lease = ARGV[2]
    if fields[1] and tonumber(fields[1]) > tonumber(ARGV[4]) then
      lease = fields[1]
    else
      redis.call("HDEL", ARGV[1] .. id, "lease_token", "lease_score")
    end
    redis.call("ZADD", KEYS[2], lease, id)
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
