import Synchronization
import Time

/// How long something took, as counts in buckets that grow with the value: 8 per power of two, so
/// a quantile is off by an eighth of its value at most. Any thread may record, without a lock.
package final class Histogram: Sendable {
    private static let subBucketBits = 3
    private static let bucketCount = (64 - subBucketBits + 1) << subBucketBits

    private let buckets = InlineArray<496, Atomic<UInt64>> { _ in Atomic(0) }
    /// Nanoseconds of all recordings together; wraps after 584 years of them.
    private let total = Atomic<UInt64>(0)
    private let largest = Atomic<UInt64>(0)

    package init() {
        precondition(
            buckets.count == Self.bucketCount,
            "\(buckets.count) buckets, \(Self.bucketCount) are needed")
    }

    /// From any thread: a few relaxed additions. Negative durations count as zero.
    package func record(_ duration: Duration) {
        let nanoseconds = UInt64(clamping: duration.exactNanoseconds)
        buckets[Self.bucket(of: nanoseconds)].wrappingAdd(1, ordering: .relaxed)
        total.wrappingAdd(nanoseconds, ordering: .relaxed)
        if largest.load(ordering: .relaxed) < nanoseconds {
            largest.max(nanoseconds, ordering: .relaxed)
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
        let counts = counts()
        let largest = largest.load(ordering: .relaxed)
        return Summary(
            count: counts.reduce(0, +), median: Self.quantile(0.5, of: counts, largest),
            percentile99: Self.quantile(0.99, of: counts, largest),
            largest: .nanoseconds(Int64(clamping: largest)))
    }

    /// How many recordings took no longer than each of some bounds, as monitoring wants it.
    package struct Distribution: Equatable, Sendable {
        /// Nanoseconds, ascending, each with the recordings that took no longer.
        package let buckets: [(bound: UInt64, count: UInt64)]
        /// Recordings.
        package let count: UInt64
        /// Nanoseconds of all recordings together.
        package let total: UInt64

        package static func == (left: Distribution, right: Distribution) -> Bool {
            left.count == right.count && left.total == right.total
                && left.buckets.elementsEqual(right.buckets, by: ==)
        }
    }

    /// By the powers of two from 16 µs to 17 s. Each bound is the largest number of nanoseconds below
    /// one: what is counted under a bound is exactly what took no longer. Other threads may go on
    /// recording; the counts agree with each other all the same.
    package func distribution() -> Distribution {
        let counts = counts()
        var seen: UInt64 = 0
        var next = 0
        let buckets = Self.boundBits.map { bits in
            let bound: UInt64 = 1 << bits - 1
            let end = Self.bucket(of: bound)
            while next <= end {
                seen += counts[next]
                next += 1
            }
            return (bound, seen)
        }
        return Distribution(
            buckets: buckets, count: counts.reduce(0, +), total: total.load(ordering: .relaxed))
    }

    private static let boundBits: ClosedRange<UInt64> = 14...34

    /// Each bucket at a moment of its own.
    private func counts() -> [UInt64] {
        buckets.indices.map { buckets[$0].load(ordering: .relaxed) }
    }

    /// The upper end of the bucket in which the quantile lies, and never above the largest value.
    private static func quantile(
        _ share: Double, of counts: [UInt64], _ largest: UInt64
    ) -> Duration {
        let count = counts.reduce(0, +)
        guard count > 0 else { return .zero }
        let rank = max(1, UInt64((Double(count) * share).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen += count
            if seen >= rank {
                return .nanoseconds(Int64(clamping: min(upperEnd(of: bucket), largest)))
            }
        }
        preconditionFailure("\(seen) values in the buckets, \(count) counted")
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
