-- Drops ids without a message from a window of one container: they make asynq's tools fail.
-- KEYS[1] container
-- ARGV[1] task key prefix, [2] first rank, [3] last rank, [4] `list` or `zset`
-- Returns {number read, number dropped}.
local list = ARGV[4] == "list"
local ids = redis.call(list and "LRANGE" or "ZRANGE", KEYS[1], ARGV[2], ARGV[3])
local dropped = 0
for _, id in ipairs(ids) do
  if redis.call("HEXISTS", ARGV[1] .. id, "msg") == 0 then
    if list then
      redis.call("LREM", KEYS[1], 0, id)
    else
      redis.call("ZREM", KEYS[1], id)
    end
    redis.call("DEL", ARGV[1] .. id)
    dropped = dropped + 1
  end
end
return { #ids, dropped }
