-- Tells the servers of this Redis that others have ended.
-- KEYS[1] ended: server -> when that was told (ms)
-- ARGV[1] wake channel, [2] how long it stays told (ms), then identities of servers
-- Returns how many were not told before.
-- The first write is a removal because Redis lets a script that began with one finish even when memory is short.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - ARGV[2])
local told = 0
for i = 3, #ARGV do
  if redis.call("ZADD", KEYS[1], "NX", now, ARGV[i]) == 1 then
    redis.call("PUBLISH", ARGV[1], "ended:" .. ARGV[i])
    told = told + 1
  end
end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return told
