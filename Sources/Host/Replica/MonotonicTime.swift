package import Glibc

/// A reading of CLOCK_MONOTONIC.
package struct MonotonicTime: Comparable, Hashable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static var now: MonotonicTime {
        var time = Glibc.timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(
            nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    package var timespec: Glibc.timespec {
        Glibc.timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }

    package static func < (a: MonotonicTime, b: MonotonicTime) -> Bool {
        a.nanoseconds < b.nanoseconds
    }

    /// Saturates at both ends.
    package static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
        let delta = duration.nanosecondsClamped
        let sum =
            delta >= 0
            ? time.nanoseconds.addingReportingOverflow(UInt64(delta))
            : time.nanoseconds.subtractingReportingOverflow(UInt64(-delta))
        let limit: UInt64 = delta >= 0 ? .max : 0
        return MonotonicTime(nanoseconds: sum.overflow ? limit : sum.partialValue)
    }

    package static func - (later: MonotonicTime, earlier: MonotonicTime) -> Duration {
        .nanoseconds(Int64(later.nanoseconds) - Int64(earlier.nanoseconds))
    }
}

extension Duration {
    /// In nanoseconds, at most about 146 years either way.
    package var nanosecondsClamped: Int64 {
        let (seconds, attoseconds) = components
        guard abs(seconds) < 4_600_000_000 else { return seconds < 0 ? -(1 << 62) : 1 << 62 }
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
