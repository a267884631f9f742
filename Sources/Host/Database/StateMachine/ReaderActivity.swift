internal import Synchronization

/// What other threads may know of a reader, and do to it. Thread-safe.
package final class ReaderActivity: Sendable {
    private struct State {
        var startedAt: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    /// Read at every callback, where a lock would cost more.
    private let mustEnd = Atomic<Bool>(false)
    private let isAlone = Atomic<Bool>(false)

    package init() {}

    /// When the request that it serves began; nil while it is idle.
    package var startedAt: ContinuousClock.Instant? { state.withLock { $0.startedAt } }

    /// Ends the request that it serves with an error, for it holds back the checkpoint.
    /// - Parameter instant: when that request began: one that it took up since is another.
    package func evict(begunAt instant: ContinuousClock.Instant) {
        state.withLock {
            guard $0.startedAt == instant else { return }
            mustEnd.store(true, ordering: .relaxed)
        }
    }

    /// Nobody waits for what it serves, or is about to serve, until the next `reset`.
    package func cancel() { isAlone.store(true, ordering: .relaxed) }

    /// Before a request is taken up: what was said of an earlier one does not hold for it.
    package func reset() {
        isAlone.store(false, ordering: .relaxed)
        mustEnd.store(false, ordering: .relaxed)
    }

    func begin(at instant: ContinuousClock.Instant) {
        state.withLock { $0.startedAt = instant }
    }

    func end() {
        state.withLock {
            $0 = State()
            mustEnd.store(false, ordering: .relaxed)
        }
    }

    package var isCancelled: Bool { isAlone.load(ordering: .relaxed) }
    package var isEvicted: Bool { mustEnd.load(ordering: .relaxed) }
}
