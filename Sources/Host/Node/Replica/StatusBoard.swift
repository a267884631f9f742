import NodeLogic
import PeerProtocol
import Raft
import StateMachine
import Synchronization
package import Telemetry
import Wire

/// Of the last entries that the database got, for people.
package struct ApplyTimes: Sendable {
    /// When they were applied, by this machine's clock; never: none was in this run.
    package var applied = WallTime.never
    /// When the last of them that is a command was proposed, by its leader's clock.
    package var proposed = WallTime.never
}

/// Holds the last published status and counters that other threads read.
final class StatusBoard: Sendable {
    private struct State {
        var portrait: NodePortrait?
        /// As of the last turn: newer than the portrait.
        var positions = NodePositions()
        var fault: String?
        var database: DatabaseStatistics?
        var upkeep = UpkeepTimes()
        var load: OpenLoad?
        var times = ApplyTimes()
        var onSeeking: (@Sendable () -> Void)?
        var onFault: (@Sendable (String) -> Void)?

        var status: NodeStatus {
            var status = portrait?.status ?? NodeStatus()
            status.commitIndex = positions.commitIndex
            status.appliedIndex = positions.appliedIndex
            status.durableIndex = positions.durableIndex
            status.checkpointedIndex = positions.checkpointedIndex
            status.lastPosition = positions.lastPosition
            if let fault { status.fault = fault }
            return status
        }
    }

    private let state = Mutex(State())

    var status: NodeStatus { state.withLock(\.status) }

    /// How the node introduces itself to who asks; nil until it has begun.
    func hello(to caller: NodeIdentity) -> Hello? {
        let (held, positions) = state.withLock { ($0.portrait, $0.positions) }
        guard let portrait = held else { return nil }
        var hello = portrait.hello
        // There are none while the node does not take part yet.
        hello.commitIndex = max(hello.commitIndex, positions.commitIndex)
        hello.address(caller, by: portrait.places)
        return hello
    }

    /// At each turn of the machine: what others wait for must not be of an earlier one.
    func stands(at positions: NodePositions) {
        state.withLock { $0.positions = positions }
    }

    func publish(_ portrait: NodePortrait) {
        let action = state.withLock { state in
            let begins = portrait.status.isSeeking && !(state.portrait?.status.isSeeking ?? false)
            state.portrait = portrait
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

    /// Before anybody is told that what it comes from is applied.
    func publish(_ upkeep: UpkeepTimes) {
        state.withLock { $0.upkeep = upkeep }
    }

    var upkeep: UpkeepTimes { state.withLock(\.upkeep) }

    func publish(_ load: OpenLoad?) {
        state.withLock { $0.load = load }
    }

    var load: OpenLoad? { state.withLock(\.load) }

    func publish(_ times: ApplyTimes) {
        state.withLock { $0.times = times }
    }

    var applyTimes: ApplyTimes { state.withLock(\.times) }

    var database: DatabaseStatistics? { state.withLock(\.database) }

    /// Called once, from any thread, when the node can't go on; at once if that is so already.
    func onFault(_ action: @escaping @Sendable (String) -> Void) {
        let fault = state.withLock { state in
            let fault = state.status.fault
            if fault == nil { state.onFault = action }
            return fault
        }
        if let fault { action(fault) }
    }

    func fail(_ text: String) {
        let action = state.withLock { state in
            state.fault = text
            defer { state.onFault = nil }
            return state.onFault
        }
        action?(text)
    }
}
