package import PeerProtocol
package import Raft
import StateMachine
import Synchronization
import Transport

/// What the core publishes of itself at the end of a turn, for `/status`, metrics and answers to
/// other nodes. A copy: reading it never disturbs the core.
package struct NodeStatus: Sendable {
    package var cluster: ClusterID?
    package var role: RoleName = .follower
    package var term: Term = .zero
    package var leader: LeaderHint?
    package var commitIndex: LogIndex = .zero
    package var appliedIndex: LogIndex = .zero
    package var durableIndex: LogIndex = .zero
    package var lastPosition: LogPosition = .zero
    package var checkpointedIndex: LogIndex = .zero
    package var membership = Membership()
    package var membershipIndex: LogIndex = .zero
    package var progress: [PeerProgress] = []
    /// Since the leader was last heard; nil when never.
    package var sinceLeader: Duration?
    /// This node may serve what its role allows.
    package var isReady = false
    package var isInstallingSnapshot = false
    package var isDiskFull = false
    /// What a node without a leader waits for, for the operator.
    package var waitingFor = "the log to be read"
    package var openProposals = 0
    package var parkedRequests = 0
    package var pendingMembershipChanges = 0
    /// Members whose SQLite is another build: floats and plans may differ.
    package var otherEngines: [NodeID] = []
    /// Nil without one.
    package var registry: RegistryStatus?
    /// Silent members that this leader will remove, with the time that each has left.
    package var reapingDue: [(id: NodeID, remaining: Duration)] = []
    package var exclusion: Exclusion = .none
    package var fault: String?

    package init() {}
}

/// How often this node, as leader, removed a silent member, and could not.
package struct Reapings: Sendable {
    package var succeeded = 0
    package var failed = 0
}

/// Holds the last published status and counters that other threads read.
final class StatusBoard: Sendable {
    private struct State {
        var status = NodeStatus()
        var dropped: [DropReason: Int] = [:]
        var reapings = Reapings()
        var database: DatabaseStatistics?
        var onFault: (@Sendable (String) -> Void)?
    }

    private let state = Mutex(State())

    var status: NodeStatus { state.withLock(\.status) }

    func publish(_ status: NodeStatus) {
        state.withLock { $0.status = status }
    }

    func publish(_ statistics: DatabaseStatistics) {
        state.withLock { $0.database = statistics }
    }

    var database: DatabaseStatistics? { state.withLock(\.database) }

    func countDroppedMessage(_ reason: DropReason) {
        state.withLock { $0.dropped[reason, default: 0] += 1 }
    }

    var droppedMessages: [DropReason: Int] { state.withLock(\.dropped) }

    func countReaping(succeeded: Bool) {
        state.withLock { state in
            if succeeded { state.reapings.succeeded += 1 } else { state.reapings.failed += 1 }
        }
    }

    var reapings: Reapings { state.withLock(\.reapings) }

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
