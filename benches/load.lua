-- What wrk sends: GET of each path of a file in turn, or POST of each body of a file, one on a line, to it. Prints what came of it as JSON.
--
--   wrk … -s load.lua URL -- PATHS-FILE [BODIES-FILE]

local requests = {}
local next_request = 0

function init(args)
    if args[2] then
        wrk.headers["Content-Type"] = "application/json"
    end
    for path in io.lines(args[1]) do
        if args[2] then
            for body in io.lines(args[2]) do
                requests[#requests + 1] = wrk.format("POST", path, wrk.headers, body)
            end
        else
            requests[#requests + 1] = wrk.format("GET", path, wrk.headers)
        end
    end
    -- Each thread runs this for itself; they should not walk in step.
    math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 1000000)
    next_request = math.random(#requests)
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests": %d, "duration_us": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)
    ))
end
