-- Lists active tasks that a server holds, in a window of the leases. Changes nothing.
-- KEYS[1] lease
-- ARGV[1] task key prefix, [2] what the server's fencing tokens start with, [3] first rank of the window, [4] ranks to
--         read, at most, [5] longest message to read (bytes), [6] bytes of messages to return, at most, unless a single
--         one has more
-- Returns {first rank of the next window once the listed tasks have left (-1: this was the last), id, fencing token,
-- message, id, fencing token, message, ...}; in place of a message that is too long its length. A lease that another
-- has had since, perhaps a Go worker, which leaves our fields as they are, is not the server's.
local first, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local rows = redis.call("ZRANGE", KEYS[1], first, first + most - 1, "WITHSCORES")
local found, bytes = { -1 }, 0
for i = 1, #rows, 2 do
  local key = ARGV[1] .. rows[i]
  local fields = redis.call("HMGET", key, "lease_token", "lease_score")
  local is_held = fields[1] and string.sub(fields[1], 1, #ARGV[2]) == ARGV[2]
  if is_held and tonumber(fields[2]) == tonumber(rows[i + 1]) and redis.call("HEXISTS", key, "msg") == 1 then
    local message = redis.call("HSTRLEN", key, "msg")
    if message <= tonumber(ARGV[5]) then
      bytes = bytes + message
      if bytes > tonumber(ARGV[6]) and bytes > message then
        found[1] = first + (i - 1) / 2 - (#found - 1) / 3
        return found
      end
      message = redis.call("HGET", key, "msg")
    end
    found[#found + 1] = rows[i]
    found[#found + 1] = fields[1]
    found[#found + 1] = message
  end
end
if #rows == most * 2 then
  found[1] = first + most - (#found - 1) / 3
end
return found
