import Glibc
package import Time

/// A mutex with one condition to wait for, timed by the clock that never goes back: what queues
/// between threads are made of. Whoever owns it keeps the rules of pthread_cond_wait(3): what is
/// waited for changes only under the lock, and is looked at again after each wait.
///
/// `@unchecked Sendable`: the two pthread objects are allocated once, at addresses that stay, and
/// freed when the owner is gone, which no thread that waits can outlive.
package struct WaitingLock: ~Copyable, @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    /// Unlocked.
    package init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Not by a thread that holds it.
    package func lock() { pthread_mutex_lock(mutex) }

    /// By the thread that holds it.
    package func unlock() { pthread_mutex_unlock(mutex) }

    /// Holds it while `body` runs.
    package func locked<Result>(_ body: () -> Result) -> Result {
        lock()
        defer { unlock() }
        return body()
    }

    /// Wakes one thread that waits, if any does. With or without the lock.
    package func wakeOne() { pthread_cond_signal(condition) }

    /// Wakes all that wait. With or without the lock.
    package func wakeAll() { pthread_cond_broadcast(condition) }

    /// Lets go of the lock, which the caller holds, and has it again when woken; also without a
    /// reason, now and then.
    package func wait() { pthread_cond_wait(condition, mutex) }

    /// As `wait()`, but not beyond `deadline`.
    /// - Returns: false if that has passed.
    @discardableResult
    package func wait(until deadline: MonotonicTime) -> Bool {
        var time = deadline.timespec
        return pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
    }
}
