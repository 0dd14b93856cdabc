-- Notes that somebody uses this database, and tells who else does.
-- KEYS[1] who -> until when that holds (ms)
-- ARGV[1] who, [2] for how long (ms), [3] most others to tell
-- Returns the others. Writes when less than half of that time is left, and after a flush, which takes the key too.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not own or own - now < ARGV[2] / 2 then
  redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
  redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
end
local others = {}
for _, who in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. now, "+inf", "LIMIT", 0, ARGV[3] + 1)) do
  if who ~= ARGV[1] and #others < tonumber(ARGV[3]) then
    others[#others + 1] = who
  end
end
return others
