import Glibc

/// State under a lock, on whose change one can wait until a time of CLOCK_MONOTONIC. Plugin code
/// blocks, so it has threads of its own and they meet here, not in Swift's cooperative pool.
///
/// `@unchecked Sendable`: `state` is touched only between lock and unlock of `mutex`.
final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    init(_ state: sending State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Wakes everyone who waits, whether or not `body` changed something.
    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return body(&state)
    }

    /// Waits until `body` returns something; it is asked at once and after every change. Nil when
    /// the time is over. `deadline` is asked each time too, as it may move; nil stands for no limit.
    func wait<Result>(
        until deadline: () -> MonotonicTime?, _ body: (inout State) -> Result?
    ) -> Result? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            guard let limit = deadline() else {
                pthread_cond_wait(changed, mutex)
                continue
            }
            if MonotonicTime.now >= limit { return nil }
            var time = timespec(
                tv_sec: Int(limit.nanoseconds / 1_000_000_000),
                tv_nsec: Int(limit.nanoseconds % 1_000_000_000))
            pthread_cond_timedwait(changed, mutex, &time)
        }
    }
}

/// A point of CLOCK_MONOTONIC, as the ABI has it: nanoseconds, never 0.
struct MonotonicTime: Comparable, Sendable {
    let nanoseconds: UInt64

    static var now: MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(
            nanoseconds: max(UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec), 1))
    }

    /// Durations below zero count as zero; the far end of time is never passed.
    static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return time }
        let longest: Int64 = 1 << 32
        let added =
            UInt64(min(seconds, longest)) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
        return MonotonicTime(nanoseconds: time.nanoseconds + added)
    }

    /// Zero when `earlier` is later.
    static func - (later: MonotonicTime, earlier: MonotonicTime) -> Duration {
        .nanoseconds(later < earlier ? 0 : Int64(clamping: later.nanoseconds - earlier.nanoseconds))
    }

    static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}

extension Duration {
    /// Clamped: 292 years are enough.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, hasOverflown) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return hasOverflown ? .max : product + attoseconds / 1_000_000_000
    }
}
