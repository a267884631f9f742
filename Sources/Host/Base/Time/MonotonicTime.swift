/// A reading of a clock that never goes back, in nanoseconds since an arbitrary start. Deterministic
/// modules get such readings as inputs; the clock itself is read elsewhere.
package struct MonotonicTime: Comparable, Hashable, Sendable {
    /// Since the clock's start.
    package let nanoseconds: UInt64

    /// - Parameter nanoseconds: since the clock's start.
    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The clock's start: earlier than every reading.
    package static let zero = MonotonicTime(nanoseconds: 0)

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

    /// What passed from `earlier` to `later`; negative if they stand the other way round, and
    /// saturated at about 292 years.
    package static func - (later: MonotonicTime, earlier: MonotonicTime) -> Duration {
        let difference = later.nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        guard difference.overflow else {
            return .nanoseconds(Int64(clamping: difference.partialValue))
        }
        return .nanoseconds(-Int64(clamping: earlier.nanoseconds - later.nanoseconds))
    }
}

extension Duration {
    /// In whole nanoseconds, rounded towards zero; at most about 146 years either way.
    package var nanosecondsClamped: Int64 {
        let limit: Int128 = 1 << 62
        return Int64(max(-limit, min(exactNanoseconds, limit)))
    }

    /// In whole milliseconds, rounded towards zero; at most about 146 years either way.
    package var millisecondsClamped: Int64 { nanosecondsClamped / 1_000_000 }

    /// In whole nanoseconds, rounded towards zero, however long it is.
    package var exactNanoseconds: Int128 {
        let (seconds, attoseconds) = components
        return Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000)
    }
}
