import Glibc
import Threads
import Time

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
            var time = limit.timespec
            pthread_cond_timedwait(changed, mutex, &time)
        }
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
