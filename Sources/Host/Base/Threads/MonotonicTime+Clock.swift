package import Glibc
package import Time

/// The machine's clock that never goes back (CLOCK_MONOTONIC).
extension MonotonicTime {
    /// Read now.
    package static var now: MonotonicTime {
        var time = Glibc.timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(
            nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// For how long the machine has been suspended since it was started, which this clock does not count; a moment less
    /// where the thread is held up meanwhile.
    package static var suspended: Duration {
        var time = Glibc.timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        let awake = now - MonotonicTime.zero
        return Duration.seconds(time.tv_sec) + Duration.nanoseconds(time.tv_nsec) - awake
    }

    /// As the C library's calls take it.
    package var timespec: Glibc.timespec {
        Glibc.timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}
