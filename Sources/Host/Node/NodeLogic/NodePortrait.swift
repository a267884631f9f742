package import PeerProtocol
package import Raft
import Replication
package import Time

/// By what reads may be served beside the machine, as of its last turn.
package struct NodeServing: Sendable {
    /// Reads at level `none` may see this database.
    package let local: Bool
    /// This node leads, by all it knows, and has applied what it must have.
    package let asLeader: Bool
    /// Both hold until then; who could not take a turn for that long has to ask the machine.
    package let until: MonotonicTime
    /// Zero until the node belongs to a cluster.
    package let commitIndex: LogIndex
    /// Nil while none is known.
    package let leader: NodeID?
    package let turnedAt: MonotonicTime
}

/// All that a machine tells of itself, made at one time.
package struct NodePortrait: Sendable {
    package let status: NodeStatus
    /// To nobody in particular.
    package let hello: Hello
    /// What makes it one to somebody.
    package let places: CallerPlaces
}

// `mutating`, though nothing changes: a machine is large, and a call that only reads one which lies
// in a class copies it first.
extension NodeMachine {
    /// When the present or last turn began.
    package var presentTurn: MonotonicTime { mutating get { now } }

    package mutating func serving() -> NodeServing {
        NodeServing(
            local: canServeLocally, asLeader: canServeAsLeader, until: now + options.quorumTime,
            commitIndex: replicated?.raft.commitIndex ?? .zero, leader: replicated?.raft.leader,
            turnedAt: now)
    }

    /// Costs about as much as a write; to be asked when somebody may read it.
    package mutating func portrait() -> NodePortrait {
        NodePortrait(status: status, hello: hello, places: callerPlaces)
    }
}
