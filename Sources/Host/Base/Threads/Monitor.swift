package import Time

/// State under a lock, on whose change one can wait until a time of CLOCK_MONOTONIC. For work that
/// blocks, like that of plugins, which has threads of its own: they meet here, not in Swift's
/// cooperative pool. Thread-safe.
///
/// `@unchecked Sendable`: `state` is touched only between lock and unlock of `gate`.
package final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let gate = WaitingLock()

    /// - Parameter state: what is under the lock from here on.
    package init(_ state: sending State) { self.state = state }

    /// Wakes everyone who waits, whether or not `body` changed something.
    package func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        gate.lock()
        defer {
            gate.wakeAll()
            gate.unlock()
        }
        return body(&state)
    }

    /// Waits until `body` returns something; it is asked at once and after every change. Nil when
    /// the time is over. `deadline` is asked each time too, as it may move; nil stands for no limit.
    package func wait<Result>(
        until deadline: () -> MonotonicTime?, _ body: (inout State) -> Result?
    ) -> Result? {
        gate.lock()
        defer { gate.unlock() }
        while true {
            if let result = body(&state) {
                gate.wakeAll()
                return result
            }
            guard let limit = deadline() else {
                gate.wait()
                continue
            }
            if MonotonicTime.now >= limit { return nil }
            gate.wait(until: limit)
        }
    }
}
