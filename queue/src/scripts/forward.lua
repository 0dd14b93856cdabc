-- scheduled | retry -> pending (or aggregating, for a task of a group), for those that are due.
-- KEYS[1] scheduled or retry, [2] pending, [3] groups
-- ARGV[1] task key prefix, [2] now (s), [3] now (ms), [4] now (ns), [5] wake channel, [6] queue name,
--         [7] group key prefix, [8] entries to read, at most
-- Returns {number read, number forwarded, when to poll again (ms, -1 never)}.
-- Scores are whole seconds for asynq's sake. The exact time counts only in the second of the score it was written with,
-- since Go's programs move scores without it. An id without a message is dropped.
local now_s, now_ms = tonumber(ARGV[2]), tonumber(ARGV[3])
local rows = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[2], "WITHSCORES", "LIMIT", 0, ARGV[8])
local gone, due, come_back = {}, {}, -1
for i = 1, #rows, 2 do
  local id, score = rows[i], tonumber(rows[i + 1])
  local key = ARGV[1] .. id
  local fields = redis.call("HMGET", key, "group", "process_at_ms")
  local exact = tonumber(fields[2] or "")
  if redis.call("HEXISTS", key, "msg") == 0 then
    redis.call("DEL", key)
    gone[#gone + 1] = id
  elseif score >= now_s and exact and exact > now_ms and math.floor(exact / 1000) == score then
    if come_back < 0 or exact < come_back then
      come_back = exact
    end
  else
    redis.call("HDEL", key, "process_at_ms", "lease_token", "lease_score")
    gone[#gone + 1] = id
    if fields[1] and fields[1] ~= "" then
      redis.call("HSET", key, "state", "aggregating")
      redis.call("ZADD", ARGV[7] .. fields[1], ARGV[2], id)
      redis.call("SADD", KEYS[3], fields[1])
    else
      redis.call("HSET", key, "state", "pending", "pending_since", ARGV[4])
      due[#due + 1] = id
    end
  end
end
for i = 1, #gone, 1000 do
  redis.call("ZREM", KEYS[1], unpack(gone, i, math.min(i + 999, #gone)))
end
for i = 1, #due, 1000 do
  redis.call("LPUSH", KEYS[2], unpack(due, i, math.min(i + 999, #due)))
end
if #due > 0 then
  redis.call("PUBLISH", ARGV[5], "pending:" .. ARGV[6])
end
if come_back < 0 then
  local later = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. ARGV[2], "+inf", "WITHSCORES", "LIMIT", 0, 1)
  if later[2] then
    come_back = tonumber(later[2]) * 1000
  end
end
return { #rows / 2, #due, come_back }
