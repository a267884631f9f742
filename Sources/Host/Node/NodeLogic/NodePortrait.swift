package import PeerProtocol
package import Raft
import Replication
package import Time

/// What changes with every write, as of a turn; all zero until the node belongs to a cluster.
package struct NodePositions: Sendable {
    package var commitIndex = LogIndex.zero
    package var appliedIndex = LogIndex.zero
    package var durableIndex = LogIndex.zero
    package var checkpointedIndex = LogIndex.zero
    package var lastPosition = LogPosition.zero

    package init() {}

    init(_ log: LogSummary?) {
        guard let log else { return }
        commitIndex = log.raft.commitIndex
        appliedIndex = log.appliedIndex
        durableIndex = log.durableIndex
        checkpointedIndex = log.checkpointedIndex
        lastPosition = log.raft.lastPosition
    }
}

/// What changes seldom and has to show at once where it does.
package struct NodeOutline: Equatable, Sendable {
    /// Nil until the node belongs to a cluster.
    package let cluster: ClusterID?
    /// The node has a log, and so a role and a term: the first of all until then.
    package let takesPart: Bool
    /// What it is in its cluster.
    package let role: RoleName
    /// Of its hard state.
    package let term: Term
    /// Nil while none is known.
    package let leader: NodeID?
    /// Of the entry that set the membership in force, committed or not.
    package let membershipIndex: LogIndex
    /// Whether the node was removed from its cluster and knows it.
    package let exclusion: Exclusion
    let isHalted: Bool
    let isSeeking: Bool
    /// Reads at level `none` may see this database.
    package let servesLocally: Bool
    /// This node leads, by all it knows, and has applied what it must have.
    package let servesAsLeader: Bool
}

/// What other threads have to know of each turn.
package struct NodeTurn: Sendable {
    package let outline: NodeOutline
    /// Until then reads may be served as the outline says; who could not take a turn for that long
    /// has to ask the machine.
    package let servesUntil: MonotonicTime
    package let positions: NodePositions
    package let at: MonotonicTime
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

    /// Something waits for what the database's thread is doing. Otherwise its progress may be told
    /// with whatever comes next, a tick later at most: who asked for a write is answered already.
    package mutating func awaitsDatabase() -> Bool {
        guard let log = replicated?.summary() else { return true }
        return log.awaitsApplied || !router.parked.isEmpty || !awaitedDecisions.isEmpty
            || shutdown.hasBegun || servesNothing || !servesLocally(log)
            || (leaderReadsFrom != nil && !servesAsLeader(log))
    }

    /// Cheap; to be asked at the end of every turn.
    package mutating func lastTurn() -> NodeTurn {
        let log = replicated?.summary()
        let lease =
            options.raft.rules.breaks(.leasesTooLong) ? options.quorumTime * 20 : options.quorumTime
        return NodeTurn(
            outline: outline(log), servesUntil: now + lease, positions: NodePositions(log), at: now)
    }

    private mutating func outline(_ log: LogSummary?) -> NodeOutline {
        NodeOutline(
            cluster: cluster, takesPart: log != nil, role: log?.raft.role ?? .follower,
            term: log?.raft.term ?? .zero, leader: log?.raft.leader,
            membershipIndex: log?.raft.membershipIndex ?? .zero,
            exclusion: exclusion, isHalted: halt != nil, isSeeking: rendezvous.isSeeking,
            servesLocally: servesLocally(log),
            servesAsLeader: servesAsLeader(log)
                || (options.raft.rules.breaks(.leasesTooLong) && leaderReadsFrom != nil))
    }

    /// Costs about as much as a write; to be asked when somebody may read it.
    package mutating func portrait() -> NodePortrait {
        NodePortrait(status: status, hello: hello, places: callerPlaces)
    }
}
