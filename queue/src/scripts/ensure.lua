-- Makes tasks of one queue run no later than asked:
--   absent, archived, completed -> pending | scheduled (a new task); scheduled, retry -> earlier | pending; others
--   stay, unless Redis lost (evicted, deleted) the list they should be in: then they are absent.
-- KEYS[1] pending, [2] scheduled, [3] retry, [4] archived, [5] completed, [6] active, [7] lease
-- ARGV[1] task key prefix, [2] now (ns), [3] now (ms), [4] wake channel, [5] queue name,
--         then per task: id, message, due (s), due (ms)
-- Returns the number of tasks changed.
local changed, pushed, earliest = 0, 0, nil
local now_ms = tonumber(ARGV[3])

local function make_pending(key, id)
  redis.call("HSET", key, "state", "pending", "pending_since", ARGV[2])
  redis.call("HDEL", key, "process_at_ms")
  redis.call("LPUSH", KEYS[1], id)
  pushed = pushed + 1
end

local function make_due(key, id, container, state, seconds, ms)
  redis.call("HSET", key, "state", state, "process_at_ms", ms)
  redis.call("ZADD", container, seconds, id)
  if not earliest or tonumber(ms) < tonumber(earliest) then
    earliest = ms
  end
end

-- Exact only when the private field belongs to this score; Go's programs move scores without it.
local function due_ms(container, id, exact)
  local score = tonumber(redis.call("ZSCORE", container, id) or "inf")
  exact = tonumber(exact or "")
  if exact and math.floor(exact / 1000) == score then
    return exact
  end
  return score * 1000
end

-- Searches only a short list: doing so to a long one for every task would stop Redis, and it gets shorter by itself.
local function is_lost(list, id)
  return redis.call("LLEN", list) <= 1000 and not redis.call("LPOS", list, id)
end

for i = 6, #ARGV, 4 do
  local id, message, seconds, ms = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local key = ARGV[1] .. id
  local now_due = tonumber(ms) <= now_ms
  local fields = redis.call("HMGET", key, "state", "process_at_ms")
  local state = redis.call("HEXISTS", key, "msg") == 1 and fields[1]
  if state == "pending" and is_lost(KEYS[1], id) then
    state = nil
  elseif state == "active" and not redis.call("ZSCORE", KEYS[7], id) and is_lost(KEYS[6], id) then
    state = nil
  end
  if state == "scheduled" or state == "retry" then
    local container = state == "scheduled" and KEYS[2] or KEYS[3]
    if due_ms(container, id, fields[2]) > tonumber(ms) then
      changed = changed + 1
      if now_due then
        redis.call("ZREM", container, id)
        make_pending(key, id)
      else
        make_due(key, id, container, state, seconds, ms)
      end
    end
  elseif not state or state == "archived" or state == "completed" then
    changed = changed + 1
    redis.call("ZREM", KEYS[4], id)
    redis.call("ZREM", KEYS[5], id)
    redis.call("DEL", key)
    redis.call("HSET", key, "msg", message)
    if now_due then
      make_pending(key, id)
    else
      make_due(key, id, KEYS[2], "scheduled", seconds, ms)
    end
  end
end
if pushed > 0 then
  redis.call("PUBLISH", ARGV[4], "pending:" .. ARGV[5])
end
if earliest then
  redis.call("PUBLISH", ARGV[4], "due:" .. earliest)
end
return changed
