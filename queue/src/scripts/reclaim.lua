-- active (by a dequeue whose reply was lost) -> active (known to its holder). Changes nothing.
-- KEYS[1] lease
-- ARGV[1] task key prefix, [2] fencing token of that dequeue, [3] longest message to read (bytes)
-- Returns id, message, ... of the tasks it took; in place of a message that is too long its length.
-- Reads the latest leases first: that dequeue was a moment ago.
local found = {}
for _, id in ipairs(redis.call("ZREVRANGE", KEYS[1], 0, 9999)) do
  local key = ARGV[1] .. id
  local fields = redis.call("HMGET", key, "lease_token", "state")
  if fields[1] == ARGV[2] and fields[2] == "active" and redis.call("HEXISTS", key, "msg") == 1 then
    local length = redis.call("HSTRLEN", key, "msg")
    found[#found + 1] = id
    found[#found + 1] = length <= tonumber(ARGV[3]) and redis.call("HGET", key, "msg") or length
  end
end
return found
