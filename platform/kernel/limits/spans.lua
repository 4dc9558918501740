-- A quota above LARGEST_LOG: a list without an entry for each request, but with at most SPANS + 2 spans
-- of time. The list is the total, then of each span the last time, the first time and the count, newest
-- first. A span begins with a request and takes those of the next window / SPANS. It leaves a window
-- after its last request, when all that it counts have left: no window ever holds more than the quota,
-- and a request counts for a window / SPANS longer at most. In front of script.lua, where it is needed.
local function whole(number)
  return string.format('%.0f', number)
end
-- Removes the spans that have left; returns how many requests count.
local function count_spans(key, now, window)
  local newest = redis.call('LRANGE', key, 0, 1)
  if #newest == 0 then
    return 0
  end
  local total = tonumber(newest[1])
  local left = total
  if tonumber(newest[2]) > now + window then
    left = 0 -- the clock was set back
  end
  while left > 0 do
    local oldest = redis.call('LRANGE', key, -3, -1)
    if tonumber(oldest[1]) > now - window then
      break
    end
    redis.call('RPOP', key, 3)
    left = left - oldest[3]
  end
  if left <= 0 then
    redis.call('DEL', key)
    return 0
  elseif left < total then
    redis.call('LSET', key, 0, whole(left))
  end
  return left
end
local function add_to_span(key, now, window, costs, total)
  local newest = redis.call('LRANGE', key, 1, 3)
  if newest[1] and now - newest[2] < window / SPANS then
    redis.call('LSET', key, 0, whole(total))
    redis.call('LSET', key, 1, whole(math.max(now, newest[1])))
    redis.call('LSET', key, 3, whole(newest[3] + costs))
  else
    redis.call('LPOP', key)
    redis.call('LPUSH', key, whole(costs), whole(now), whole(now), whole(total))
  end
end
-- Returns the microseconds until so many have left: the oldest span, if one request wants room.
local function wait_for_spans(key, now, window, excess)
  local place, freed, last = 0, 0, now - window
  repeat
    local span = redis.call('LRANGE', key, -3 - place, -1 - place)
    last, freed, place = tonumber(span[1]), freed + span[3], place + 3
  until freed >= excess
  return last + window - now
end
