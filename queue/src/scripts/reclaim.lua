-- active (by a dequeue whose reply was lost) -> active (known to its holder). Changes nothing.
-- KEYS[1] lease
-- ARGV[1] task key prefix, [2] fencing token of that dequeue
-- Returns id, message, ... of the tasks it took.
-- Reads the latest leases first: that dequeue was a moment ago.
local found = {}
for _, id in ipairs(redis.call("ZREVRANGE", KEYS[1], 0, 9999)) do
  local fields = redis.call("HMGET", ARGV[1] .. id, "lease_token", "state", "msg")
  if fields[1] == ARGV[2] and fields[2] == "active" and fields[3] then
    found[#found + 1] = id
    found[#found + 1] = fields[3]
  end
end
return found
