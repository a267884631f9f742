import NodeLogic
import PeerProtocol
import Raft
import StateMachine
import Synchronization

/// Holds the last published status and counters that other threads read.
final class StatusBoard: Sendable {
    private struct State {
        var status = NodeStatus()
        var hello: Hello?
        var places: CallerPlaces?
        var database: DatabaseStatistics?
        var onSeeking: (@Sendable () -> Void)?
        var onFault: (@Sendable (String) -> Void)?
    }

    private let state = Mutex(State())

    var status: NodeStatus { state.withLock(\.status) }

    /// How the node introduces itself to who asks; nil until it has begun.
    func hello(to caller: NodeIdentity) -> Hello? {
        let (hello, places) = state.withLock { ($0.hello, $0.places) }
        guard var hello else { return nil }
        if let places { hello.address(caller, by: places) }
        return hello
    }

    func publish(_ status: NodeStatus, hello: Hello, places: CallerPlaces) {
        let action = state.withLock { state in
            let begins = status.isSeeking && !state.status.isSeeking
            state.status = status
            state.hello = hello
            state.places = places
            return begins ? state.onSeeking : nil
        }
        action?()
    }

    /// Called, on the machine's thread, each time the node begins to look for others.
    func onSeeking(_ action: @escaping @Sendable () -> Void) {
        state.withLock { $0.onSeeking = action }
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
