-- pending -> active under a lease, for up to N tasks of one queue, oldest first.
-- KEYS[1] pending, [2] paused, [3] active, [4] lease
-- ARGV[1] task key prefix, [2] lease expiry (s), [3] fencing token, [4] N, [5] longest message to read (bytes),
--         [6] bytes of messages to return, at most, unless a single one has more
-- Returns {ids left in pending, id, message, id, message, ...}; {0} when paused or nothing is pending. In place of a
-- message that is too long stands its length: it is not read, not even by this script, for Redis would keep its copy.
-- The token and the expiry stay in private hash fields: a later write-back must know the token and find the lease at
-- that expiry, or another worker (perhaps Go's) has had the task in between. An id without a message, or whose key is
-- no hash, is dropped.
-- Redis takes nothing back when a script fails in the middle, so everything is read before the first write, and no step
-- leaves an id outside of all containers: ids are in active before they leave pending, and what follows was tried
-- without effect first (an RPOP of nothing, a ZADD of no member).
-- The first write is an RPOP because Redis lets a script that began with it finish even when memory is short.
if redis.call("EXISTS", KEYS[2]) == 1 then
  return { 0 }
end
local ids = redis.call("LRANGE", KEYS[1], -tonumber(ARGV[4]), -1)
if #ids == 0 then
  return { 0 }
end
local messages, bytes, first = {}, 0, #ids
for i = #ids, 1, -1 do
  local key = ARGV[1] .. ids[i]
  local message = redis.pcall("HSTRLEN", key, "msg")
  if type(message) == "table" then
    if not string.find(message.err, "WRONGTYPE", 1, true) then
      return message
    end
    message = false
  elseif message <= tonumber(ARGV[5]) then
    bytes = bytes + message
    if bytes > tonumber(ARGV[6]) and bytes > message then
      break
    end
    message = redis.call("HGET", key, "msg")
  end
  messages[i] = message
  first = i
end
local left = redis.call("LLEN", KEYS[1]) - (#ids - first + 1)
redis.call("RPOP", KEYS[1], 0)
redis.call("ZADD", KEYS[4], "XX", ARGV[2], "")
local taken, active, lease = { left }, {}, {}
for i = #ids, first, -1 do
  local id, message = ids[i], messages[i]
  local key = ARGV[1] .. id
  if message then
    redis.call("HSET", key, "state", "active", "lease_token", ARGV[3], "lease_score", ARGV[2])
    redis.call("HDEL", key, "pending_since")
    active[#active + 1] = id
    lease[#lease + 1] = ARGV[2]
    lease[#lease + 1] = id
    taken[#taken + 1] = id
    taken[#taken + 1] = message
  else
    redis.call("DEL", key)
  end
end
if #active > 0 then
  redis.call("LPUSH", KEYS[3], unpack(active))
end
redis.call("RPOP", KEYS[1], #ids - first + 1)
if #active > 0 then
  redis.call("ZADD", KEYS[4], unpack(lease))
end
return taken
