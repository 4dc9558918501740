-- A sliding-window log of each policy: the times of its admitted requests, newest first, never more
-- than its quota. KEYS: one list for each policy. ARGV: quota and window in microseconds of each.
-- Answers whether all policies admit, the time, and what is left of each with the microseconds until
-- there is more. Either all policies record the request or none does.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local used = {}
local admitted = 1
for i, key in ipairs(KEYS) do
  local quota, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local newest = tonumber(redis.call('LINDEX', key, 0))
  if newest and newest > now + window then
    redis.call('DEL', key) -- the clock was set back: nobody is to wait until it is there again
  end
  local oldest = tonumber(redis.call('LINDEX', key, -1))
  while oldest and oldest <= now - window do
    redis.call('RPOP', key)
    oldest = tonumber(redis.call('LINDEX', key, -1))
  end
  used[i] = redis.call('LLEN', key)
  if used[i] >= quota then
    admitted = 0
  end
end
local answer = {admitted, now}
for i, key in ipairs(KEYS) do
  local quota, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if admitted == 1 then
    redis.call('LPUSH', key, string.format('%.0f', now))
    redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1000) -- never before its newest leaves
    used[i] = used[i] + 1
  end
  local wait = 0
  if used[i] > 0 then
    -- The one that makes room when it leaves: not the oldest where a quota was lowered.
    -- Counted from the end where that is near: a long log is walked through from its beginning.
    local place = used[i] > quota and quota - 1 or -1
    wait = redis.call('LINDEX', key, place) + window - now
  end
  table.insert(answer, math.max(quota - used[i], 0))
  table.insert(answer, math.min(wait, window))
end
return answer
