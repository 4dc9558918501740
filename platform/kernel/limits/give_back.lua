-- Uncounts one request in the spans of a large quota (see spans.lua), in the span that has counted
-- it. KEYS: the policy's list. ARGV: the time of the request.
local at = tonumber(ARGV[1])
for place = 1, redis.call('LLEN', KEYS[1]) - 1, 3 do
  local span = redis.call('LRANGE', KEYS[1], place, place + 2)
  if tonumber(span[2]) <= at then
    if at <= tonumber(span[1]) and tonumber(span[3]) > 0 then
      local total = tonumber(redis.call('LINDEX', KEYS[1], 0))
      redis.call('LSET', KEYS[1], 0, string.format('%.0f', total - 1))
      redis.call('LSET', KEYS[1], place + 2, string.format('%.0f', span[3] - 1))
    end
    return
  end
end
