-- Makes the servers that an owner drains those that are named, and no others of its.
-- KEYS[1] draining: server -> "<until when (ms)> <owner>"
-- ARGV[1] wake channel, [2] owner, [3] how long a mark lasts (ms), then identities of servers
-- Returns how many marks are new or gone; servers are told only then.
-- The first write is a removal because Redis lets a script that began with one finish even when memory is short.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wanted, known, changed = {}, {}, 0
for i = 4, #ARGV do
  wanted[ARGV[i]] = true
end
redis.call("HDEL", KEYS[1], "")
local marks = redis.call("HGETALL", KEYS[1])
for i = 1, #marks, 2 do
  local ends, owner = string.match(marks[i + 1], "^(%d+) (.*)$")
  local lasts = ends and tonumber(ends) > now
  if lasts and owner == ARGV[2] and wanted[marks[i]] then
    known[marks[i]] = true
  elseif not lasts or owner == ARGV[2] then
    redis.call("HDEL", KEYS[1], marks[i])
    changed = changed + (lasts and 1 or 0)
  end
end
for i = 4, #ARGV do
  redis.call("HSET", KEYS[1], ARGV[i], string.format("%.0f %s", now + ARGV[3], ARGV[2]))
  changed = changed + (known[ARGV[i]] and 0 or 1)
end
redis.call("PEXPIRE", KEYS[1], ARGV[3])
if changed > 0 then
  redis.call("PUBLISH", ARGV[1], "drain")
end
return changed
