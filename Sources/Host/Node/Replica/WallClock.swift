import Glibc

/// The time of day. Only stamps of log entries come from it: nothing waits by it.
enum WallClock {
    static var milliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
