import Glibc
package import Time

/// A queue between threads whose receiver sleeps until something arrives. Senders never block on
/// the receiver; what bounds the queue is that every sender's own work is bounded (uncommitted
/// bytes, requests in flight, outstanding jobs).
///
/// `@unchecked Sendable`: `items` and `sleepers` are touched only while `mutex` is held, and the
/// two pthread objects are allocated once and freed when the last reference is gone.
package final class Mailbox<Element: Sendable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let arrival: UnsafeMutablePointer<pthread_cond_t>
    private var items: [Element] = []
    private var sleepers = 0

    package init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        arrival = .allocate(capacity: 1)
        arrival.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(arrival, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(arrival)
        arrival.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// From any thread; never waits for the receiver.
    package func post(_ item: Element) {
        pthread_mutex_lock(mutex)
        items.append(item)
        wake()
    }

    /// All of them together, in their order: no other sender's come between.
    package func post(_ batch: [Element]) {
        guard !batch.isEmpty else { return }
        pthread_mutex_lock(mutex)
        items.append(contentsOf: batch)
        wake()
    }

    /// Leaves it for the receiver's next look, for what nobody waits for.
    package func postQuietly(_ item: Element) {
        pthread_mutex_lock(mutex)
        items.append(item)
        pthread_mutex_unlock(mutex)
    }

    /// Unlocks, then wakes a sleeper, so that it does not wake into a held lock.
    private func wake() {
        let mustWake = sleepers > 0
        pthread_mutex_unlock(mutex)
        if mustWake { pthread_cond_signal(arrival) }
    }

    /// Waits until something is there or the time is up, and takes at most `limit` items, the oldest
    /// first; none if the time was up. Without a deadline it waits for ever.
    package func take(atMost limit: Int = .max, until deadline: MonotonicTime? = nil) -> [Element] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while items.isEmpty {
            sleepers += 1
            defer { sleepers -= 1 }
            guard let deadline else {
                pthread_cond_wait(arrival, mutex)
                continue
            }
            var time = deadline.timespec
            if pthread_cond_timedwait(arrival, mutex, &time) == ETIMEDOUT { break }
        }
        guard items.count > limit else {
            let all = items
            items = []
            items.reserveCapacity(min(all.count, 1024))
            return all
        }
        let some = Array(items[..<limit])
        items.removeFirst(limit)
        if sleepers > 0 { pthread_cond_signal(arrival) }
        return some
    }

    /// How many items wait now.
    package var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return items.count
    }
}
