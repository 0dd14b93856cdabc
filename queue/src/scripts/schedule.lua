-- absent -> scheduled, for any number of tasks of one queue.
-- KEYS[1] scheduled
-- ARGV[1] task key prefix, [2] wake channel, then per task: id, message, due (s), due (ms)
-- Returns per task: 1 written, 0 the id exists (in any state) and was left alone.
-- Publishes the due time when it is the earliest, so that forwarders set their timer to it.
local written = {}
local first = redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES")[2]
local earliest = nil
for i = 3, #ARGV, 4 do
  local key = ARGV[1] .. ARGV[i]
  if redis.call("EXISTS", key) == 1 then
    written[#written + 1] = 0
  else
    redis.call("HSET", key, "msg", ARGV[i + 1], "state", "scheduled", "process_at_ms", ARGV[i + 3])
    redis.call("ZADD", KEYS[1], ARGV[i + 2], ARGV[i])
    written[#written + 1] = 1
    if not earliest or tonumber(ARGV[i + 3]) < tonumber(earliest) then
      earliest = ARGV[i + 3]
    end
  end
end
if earliest and (not first or tonumber(earliest) < (tonumber(first) + 1) * 1000) then
  redis.call("PUBLISH", ARGV[2], "due:" .. earliest)
end
return written
