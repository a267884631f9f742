internal import Synchronization

/// What other threads may know of a reader, and do to it.
package final class ReaderActivity: Sendable {
    private struct State {
        var startedAt: ContinuousClock.Instant?
        var mustEnd = false
    }

    private let state = Mutex(State())
    /// Read at every callback, where a lock would cost more.
    private let mustEnd = Atomic<Bool>(false)

    /// When the request that it serves began; nil while it is idle.
    package var startedAt: ContinuousClock.Instant? { state.withLock { $0.startedAt } }

    /// Ends the request that it serves with an error, for it holds back the checkpoint.
    package func evict() {
        state.withLock {
            guard $0.startedAt != nil else { return }
            $0.mustEnd = true
            mustEnd.store(true, ordering: .relaxed)
        }
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

    var isEvicted: Bool { mustEnd.load(ordering: .relaxed) }
}
