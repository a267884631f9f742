-- wrk -s read.lua URL -- LEVEL: reads one of 1000 rows by its key.
local level, key = "none", 0

function init(args)
    level = args[1]
end

function request()
    key = (key * 421 + 1663) % 7875 -- A full-period generator; no random() per request.
    return wrk.format("GET", "/db/query?level=" .. level
        .. "&q=SELECT%20id,name%20FROM%20bench_read%20WHERE%20id=" .. (key % 1000 + 1))
end

function done(summary, latency)
    local bad = summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.status + summary.errors.timeout
    io.write(string.format("RESULT %.1f %.0f %.0f %d\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50), latency:percentile(99), bad))
end
