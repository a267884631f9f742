import Synchronization

/// How long something took, as counts in buckets that grow with the value: 8 per power of two, so
/// a quantile is off by an eighth of its value at most. Any thread may record.
package final class Histogram: Sendable {
    private struct State {
        var buckets = [UInt64](repeating: 0, count: Histogram.bucketCount)
        var count: UInt64 = 0
        var largest: UInt64 = 0
    }

    private static let subBucketBits = 3
    private static let bucketCount = (64 - subBucketBits + 1) << subBucketBits

    private let state = Mutex(State())

    package init() {}

    /// From any thread. Negative durations count as zero.
    package func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let total = Int128(seconds) * 1_000_000_000 + Int128(attoseconds) / 1_000_000_000
        let nanoseconds = UInt64(clamping: total)
        let bucket = Self.bucket(of: nanoseconds)
        state.withLock {
            $0.buckets[bucket] += 1
            $0.count += 1
            $0.largest = max($0.largest, nanoseconds)
        }
    }

    /// What was recorded since the start, to the precision of the buckets.
    package struct Summary: Equatable, Sendable {
        /// Recordings.
        package let count: UInt64
        /// Half of them took no longer.
        package let median: Duration
        /// 99 of 100 took no longer.
        package let percentile99: Duration
        /// The longest of them.
        package let largest: Duration
    }

    /// Of all that was recorded so far; other threads may go on recording.
    package func summary() -> Summary {
        state.withLock { state in
            Summary(
                count: state.count, median: Self.quantile(0.5, of: state),
                percentile99: Self.quantile(0.99, of: state),
                largest: .nanoseconds(Int64(clamping: state.largest)))
        }
    }

    /// The upper end of the bucket in which the quantile lies, and never above the largest value.
    private static func quantile(_ share: Double, of state: State) -> Duration {
        guard state.count > 0 else { return .zero }
        let rank = max(1, UInt64((Double(state.count) * share).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, count) in state.buckets.enumerated() {
            seen += count
            if seen >= rank {
                let end = min(upperEnd(of: bucket), state.largest)
                return .nanoseconds(Int64(clamping: end))
            }
        }
        preconditionFailure("\(seen) values in the buckets, \(state.count) counted")
    }

    static func bucket(of value: UInt64) -> Int {
        let bits = UInt64.bitWidth - value.leadingZeroBitCount
        let shift = max(0, bits - subBucketBits - 1)
        return (shift << subBucketBits) + Int(value >> UInt64(shift))
    }

    /// The largest value that falls into the bucket.
    static func upperEnd(of bucket: Int) -> UInt64 {
        let shift = max(0, (bucket >> subBucketBits) - 1)
        let top = UInt64(bucket - (shift << subBucketBits))
        return (top << UInt64(shift)) | ((1 << UInt64(shift)) - 1)
    }
}
