package import Time

/// A queue between threads whose receiver sleeps until something arrives. Senders never block on
/// the receiver; what bounds the queue is that every sender's own work is bounded (uncommitted
/// bytes, requests in flight, outstanding jobs).
///
/// `@unchecked Sendable`: `items` and `sleepers` are touched only while `gate` is held.
package final class Mailbox<Element: Sendable>: @unchecked Sendable {
    @usableFromInline let gate = WaitingLock()
    @usableFromInline var items: [Element] = []
    @usableFromInline var sleepers = 0
    /// Those that sleep have time for what is posted patiently.
    @usableFromInline var isPatient = false

    /// Empty.
    @inlinable package init() {}

    /// From any thread; never waits for the receiver.
    @inlinable package func post(_ item: Element) {
        gate.lock()
        items.append(item)
        wake()
    }

    /// All of them together, in their order: no other sender's come between.
    @inlinable package func post(_ batch: [Element]) {
        guard !batch.isEmpty else { return }
        gate.lock()
        items.append(contentsOf: batch)
        wake()
    }

    /// Leaves it for the receiver's next look, for what nobody waits for.
    @inlinable package func postQuietly(_ item: Element) {
        gate.lock()
        items.append(item)
        gate.unlock()
    }

    /// Wakes the receiver unless it said that it has time.
    @inlinable package func postPatiently(_ batch: [Element]) {
        gate.lock()
        items.append(contentsOf: batch)
        if isPatient { gate.unlock() } else { wake() }
    }

    /// Unlocks, then wakes a sleeper, so that it does not wake into a held lock.
    @inlinable func wake() {
        let mustWake = sleepers > 0
        gate.unlock()
        if mustWake { gate.wakeOne() }
    }

    /// Waits until something is there or the time is up, and takes at most `limit` items, the oldest
    /// first; none if the time was up. Without a deadline it waits for ever.
    /// - Parameter patiently: what is posted patiently may wait until something else comes, or the
    ///   time is up.
    @inlinable package func take(
        atMost limit: Int = .max, until deadline: MonotonicTime? = nil, patiently: Bool = false
    )
        -> [Element]
    {
        gate.lock()
        defer { gate.unlock() }
        isPatient = patiently
        while items.isEmpty {
            sleepers += 1
            defer { sleepers -= 1 }
            guard let deadline else {
                gate.wait()
                continue
            }
            if !gate.wait(until: deadline) { break }
        }
        guard items.count > limit else {
            let all = items
            items = []
            items.reserveCapacity(min(all.count, 1024))
            return all
        }
        let some = Array(items[..<limit])
        items.removeFirst(limit)
        if sleepers > 0 { gate.wakeOne() }
        return some
    }

    /// How many items wait now.
    @inlinable package var count: Int {
        gate.lock()
        defer { gate.unlock() }
        return items.count
    }

    /// A receiver sleeps.
    package var isWaitedFor: Bool {
        gate.lock()
        defer { gate.unlock() }
        return sleepers > 0
    }
}
