-- Adds what one member of a fleet took of a limit to what all took, and tells what they took.
-- KEYS[1] members, [2] what was taken: of whom -> when it is paid off (us)
-- ARGV[1] member, [2] its life (us), [3] cost of one (us), [4] most entries to tell, then per entry: whose, how many
-- Returns {living members, {time until it is paid off (us) per entry}, {whose, that time, whose, that time, ...}}; of the
-- last only those that take longest. One that is taken is paid off a cost after those before it (GCRA, ITU-T I.371).
-- The first write is a removal because Redis lets a script that began with one finish even when memory is short.
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", now)
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
local own = {}
for i = 5, #ARGV, 2 do
  local before = tonumber(redis.call("ZSCORE", KEYS[2], ARGV[i]) or now)
  local after = before + ARGV[i + 1] * ARGV[3]
  redis.call("ZADD", KEYS[2], after, ARGV[i])
  own[#own + 1] = after - now
end
-- Longer than anything here lives, for the case that nobody comes any more.
redis.call("EXPIRE", KEYS[1], 600)
redis.call("EXPIRE", KEYS[2], 600)
local all = redis.call("ZREVRANGEBYSCORE", KEYS[2], "+inf", "-inf", "WITHSCORES", "LIMIT", 0, ARGV[4])
for i = 2, #all, 2 do
  all[i] = tonumber(all[i]) - now
end
return { redis.call("ZCARD", KEYS[1]), own, all }
