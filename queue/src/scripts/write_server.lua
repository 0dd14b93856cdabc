-- Publishes what a server is and what it runs, for asynq's tools.
-- KEYS[1] server, [2] its workers
-- ARGV[1] TTL (s), [2] ServerInfo, then per running task: id, WorkerInfo
-- Returns 1.
redis.call("DEL", KEYS[2])
redis.call("SETEX", KEYS[1], ARGV[1], ARGV[2])
for i = 3, #ARGV, 2 do
  redis.call("HSET", KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call("EXPIRE", KEYS[2], ARGV[1])
return 1
