import NodeMachine
import PeerProtocol
import StateMachine
import Synchronization

/// Holds the last published status and counters that other threads read.
final class StatusBoard: Sendable {
    private struct State {
        var status = NodeStatus()
        var hello: Hello?
        var database: DatabaseStatistics?
        var onFault: (@Sendable (String) -> Void)?
    }

    private let state = Mutex(State())

    var status: NodeStatus { state.withLock(\.status) }

    /// How the node introduces itself; nil until it has begun.
    var hello: Hello? { state.withLock(\.hello) }

    func publish(_ status: NodeStatus, hello: Hello) {
        state.withLock { state in
            state.status = status
            state.hello = hello
        }
    }

    func publish(_ statistics: DatabaseStatistics) {
        state.withLock { $0.database = statistics }
    }

    var database: DatabaseStatistics? { state.withLock(\.database) }

    /// Called once, from any thread, when the node can't go on; at once if that is so already.
    func onFault(_ action: @escaping @Sendable (String) -> Void) {
        let fault = state.withLock { state in
            if state.status.fault == nil { state.onFault = action }
            return state.status.fault
        }
        if let fault { action(fault) }
    }

    func fail(_ text: String) {
        let action = state.withLock { state in
            state.status.fault = text
            defer { state.onFault = nil }
            return state.onFault
        }
        action?(text)
    }
}
