-- Reads the state of one queue. Changes nothing.
-- KEYS[1] pending, [2] active, [3] scheduled, [4] retry, [5] archived, [6] completed, [7] processed,
--         [8] failed, [9] paused
-- ARGV[1] task key prefix, [2] look-ahead (s), [3..] more periods from now (s)
-- Returns {next due (s, -1 none), pending_since of the task that runs next (ns as text, empty when unknown),
--          {pending, active, scheduled, retry, archived, completed, due, due within the look-ahead, processed, failed,
--           paused}, now (ms), due time of the first beyond the look-ahead (s, -1 none),
--          {due within each of the other periods}}.
local time = redis.call("TIME")
local now = tonumber(time[1])
local due, ahead, next_due, next_beyond = 0, 0, -1, -1
for _, container in ipairs({ KEYS[3], KEYS[4] }) do
  due = due + redis.call("ZCOUNT", container, "-inf", now)
  ahead = ahead + redis.call("ZCOUNT", container, "-inf", now + tonumber(ARGV[2]))
  local first = tonumber(redis.call("ZRANGE", container, 0, 0, "WITHSCORES")[2] or "")
  if first and (next_due < 0 or first < next_due) then
    next_due = first
  end
  local limit = now + tonumber(ARGV[2])
  local beyond = redis.call("ZRANGEBYSCORE", container, "(" .. limit, "+inf", "WITHSCORES", "LIMIT", 0, 1)
  local at = tonumber(beyond[2] or "")
  if at and (next_beyond < 0 or at < next_beyond) then
    next_beyond = at
  end
end
local later = {}
for at = 3, #ARGV do
  later[at - 2] = 0
end
for _, container in ipairs({ KEYS[3], KEYS[4] }) do
  if redis.call("EXISTS", container) == 1 then
    for at = 3, #ARGV do
      later[at - 2] = later[at - 2] + redis.call("ZCOUNT", container, "-inf", now + tonumber(ARGV[at]))
    end
  end
end
local oldest = redis.call("LINDEX", KEYS[1], -1)
local since = oldest and redis.call("HGET", ARGV[1] .. oldest, "pending_since") or ""
local counts = {}
for at = 1, 2 do
  counts[at] = redis.call("LLEN", KEYS[at])
end
for at = 3, 6 do
  counts[at] = redis.call("ZCARD", KEYS[at])
end
counts[7], counts[8] = due, ahead
counts[9], counts[10] = redis.call("GET", KEYS[7]) or "0", redis.call("GET", KEYS[8]) or "0"
counts[11] = redis.call("EXISTS", KEYS[9])
return { next_due, since, counts, now * 1000 + math.floor(tonumber(time[2]) / 1000), next_beyond, later }
