-- Returns the microseconds until the quota of KEYS[1] is whole, before this request. If the request is allowed, it counts.
--
-- ARGV: the longest such time with which a request is allowed, and the time of one request. The clock is the server's, so
-- that the clocks of the replicas do not matter.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tolerance, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local whole_at = tonumber(redis.call('GET', KEYS[1]) or now) or now
-- At most an exhausted quota: an entry of a larger limit, or a forged one, must not lock a person out.
local reset_after = math.max(0, math.min(whole_at - now, tolerance + interval))
if reset_after <= tolerance then
    -- Whole microseconds: the time since 1970 leaves a double no room for parts.
    local next_reset = math.floor(reset_after + interval)
    redis.call('SET', KEYS[1], string.format('%.0f', now + next_reset), 'PX', math.ceil(next_reset / 1000))
end
return reset_after
