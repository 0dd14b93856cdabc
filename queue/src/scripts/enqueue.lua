-- absent -> pending, for any number of tasks of one queue.
-- KEYS[1] pending
-- ARGV[1] task key prefix, [2] now (ns), [3] wake channel, [4] queue name, then per task: id, message
-- Returns per task: 1 written, 0 the id exists (in any state) and was left alone.
-- Publishes only while the list is short: with a longer one every consumer is busy and comes back by itself.
local written, ids = {}, {}
for i = 5, #ARGV, 2 do
  local key = ARGV[1] .. ARGV[i]
  if redis.call("EXISTS", key) == 1 then
    written[#written + 1] = 0
  else
    redis.call("HSET", key, "msg", ARGV[i + 1], "state", "pending", "pending_since", ARGV[2])
    ids[#ids + 1] = ARGV[i]
    written[#written + 1] = 1
  end
end
if #ids > 0 then
  local length = redis.call("LPUSH", KEYS[1], unpack(ids))
  if length - #ids < 8 then
    redis.call("PUBLISH", ARGV[3], "pending:" .. ARGV[4])
  end
end
return written
