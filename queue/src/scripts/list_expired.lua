-- Lists active tasks whose lease ran out. Drops ids without a message.
-- KEYS[1] active, [2] lease
-- ARGV[1] task key prefix, [2] latest expiry to list (s), [3] most entries, [4] longest message to read (bytes),
--         [5] bytes of messages to return, at most, unless a single one has more
-- Returns {earliest expiry left (s, -1 none), id, expiry, message, id, expiry, message, ...}; in place of a message
-- that is too long its length.
-- Begins with a harmless write: where that is refused (a replica, a Redis that cannot save), holders could not extend
-- their leases either, and the caller must learn of it.
redis.call("ZREM", KEYS[2], "")
local rows = redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", ARGV[2], "WITHSCORES", "LIMIT", 0, ARGV[3])
local found, bytes = { -1 }, 0
for i = 1, #rows, 2 do
  local key = ARGV[1] .. rows[i]
  if redis.call("HEXISTS", key, "msg") == 1 then
    local message = redis.call("HSTRLEN", key, "msg")
    if message <= tonumber(ARGV[4]) then
      bytes = bytes + message
      if bytes > tonumber(ARGV[5]) and bytes > message then
        found[1] = tonumber(rows[i + 1])
        return found
      end
      message = redis.call("HGET", key, "msg")
    end
    found[#found + 1] = rows[i]
    found[#found + 1] = tonumber(rows[i + 1])
    found[#found + 1] = message
  else
    redis.call("LREM", KEYS[1], 0, rows[i])
    redis.call("ZREM", KEYS[2], rows[i])
    redis.call("DEL", key)
  end
end
local later = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. ARGV[2], "+inf", "WITHSCORES", "LIMIT", 0, 1)
if later[2] then
  found[1] = tonumber(later[2])
end
return found
