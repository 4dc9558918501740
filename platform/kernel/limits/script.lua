-- A sliding-window log of each policy: the times of its admitted requests, newest first, never more
-- than its quota. KEYS: one list for each policy. ARGV: quota and window in microseconds of each, then
-- the weight. Answers whether all policies admit, the time, and what is left of each with the
-- microseconds until there is more. Either all policies record the request or none does.
-- A quota above LARGEST_LOG is counted in spans: see spans.lua, which then stands before this text.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local used = {}
local weight = tonumber(ARGV[2 * #KEYS + 1])
local function cost(i, quota)
  return i == 1 and math.min(weight, quota) or 1
end
local admitted = 1
for i, key in ipairs(KEYS) do
  local quota, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if quota > LARGEST_LOG then
    used[i] = count_spans(key, now, window)
  else
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
  end
  if used[i] + cost(i, quota) > quota then
    admitted = 0
  end
end
local answer = {admitted, now}
for i, key in ipairs(KEYS) do
  local quota, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local costs = cost(i, quota)
  if admitted == 1 then
    used[i] = used[i] + costs
    if quota > LARGEST_LOG then
      add_to_span(key, now, window, costs, used[i])
    else
      for _ = 1, costs do
        redis.call('LPUSH', key, string.format('%.0f', now))
      end
    end
    redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1000) -- never before its newest leaves
    costs = 1
  end
  local wait = 0
  if used[i] > 0 and quota > LARGEST_LOG then
    wait = wait_for_spans(key, now, window, math.max(used[i] + costs - quota, 1))
  elseif used[i] > 0 then
    -- The one that makes room when it leaves: not the oldest where a quota was lowered, or where a
    -- request that was refused weighs more than one.
    -- Counted from the end where that is near: a long log is walked through from its beginning.
    local place = used[i] > quota - costs + 1 and quota - costs or -1
    wait = redis.call('LINDEX', key, place) + window - now
  end
  table.insert(answer, math.max(quota - used[i], 0))
  table.insert(answer, math.min(wait, window))
end
return answer
