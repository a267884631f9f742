import Synchronization

/// Stands for messages that were handed to the delegate: while it lives, their bytes count as not
/// taken yet, and past a bound nothing more is read of their connection. Whoever keeps messages
/// keeps their credit; letting go of it, or `giveBack`, says that they were taken.
package final class MessageCredit: Sendable {
    private let gate: ReceiveGate
    private let bytes: Int
    private let isOut = Atomic<Bool>(true)

    init(_ gate: ReceiveGate, _ bytes: Int) {
        self.gate = gate
        self.bytes = bytes
        gate.add(bytes)
    }

    /// From any thread; once counts.
    package func giveBack() {
        if isOut.exchange(false, ordering: .relaxed) { gate.remove(bytes) }
    }

    deinit { giveBack() }
}

/// Counts bytes of one connection that the delegate has not taken, and says when to stop reading it.
final class ReceiveGate: Sendable {
    private struct State {
        var bytes = 0
        var isClosed = false
    }

    /// Of all connections together.
    final class Total: Sendable {
        let bytes = Atomic<Int>(0)
    }

    private let limits: TransportLimits
    private let bound: Int
    private let total: Total
    private let opened: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - bound: bytes of this connection above which it is closed.
    ///   - opened: called on any thread when a closed gate opens.
    init(
        bound: Int, total: Total, limits: TransportLimits, opened: @escaping @Sendable () -> Void
    ) {
        self.bound = bound
        self.total = total
        self.limits = limits
        self.opened = opened
    }

    /// Closes above the connection's own bound, and while all together hold too much, if this one
    /// holds any to speak of: so another's heartbeats still come through.
    var isClosed: Bool {
        state.withLock { state in
            let isMuch =
                state.bytes > limits.ambientBytes
                && total.bytes.load(ordering: .relaxed) > limits.maxUntakenBytes
            state.isClosed = state.isClosed || state.bytes > bound || isMuch
            return state.isClosed
        }
    }

    func add(_ count: Int) {
        total.bytes.add(count, ordering: .relaxed)
        state.withLock { $0.bytes += count }
    }

    func remove(_ count: Int) {
        total.bytes.subtract(count, ordering: .relaxed)
        let opens = state.withLock { state -> Bool in
            state.bytes -= count
            guard state.isClosed, state.bytes <= limits.ambientBytes else { return false }
            state.isClosed = false
            return true
        }
        if opens { opened() }
    }
}
