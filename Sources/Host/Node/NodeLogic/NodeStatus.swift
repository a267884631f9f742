package import PeerProtocol
package import Raft
package import Wire

/// What a machine tells of itself at the end of a turn, for `/status`, metrics and answers to other
/// nodes. A copy: reading it never disturbs the machine.
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
    /// It looks for other nodes: it has no cluster yet, or lost the other members.
    package var isSeeking = false
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
    /// Why the node applies nothing more; nil while it applies.
    package var halt: ApplyHalt?
    /// The limits on writes as of the entries that are applied.
    package var limits = WriteLimits.initial
    /// Why this node's database is not to be trusted; nil while it is.
    package var quarantine: Quarantine.Cause?
    /// What this node found at the last marker for checksums.
    package var checksums: ChecksumReading?
    package var fault: String?
    /// What is wrong now, by kind and subject.
    package var troubles: [NodeTrouble] = []
    /// Messages that the consensus core refused in this run, by reason.
    package var droppedMessages: [DropReason: Int] = [:]
    package var reapings = Reapings()

    package init() {}

    /// The limits on writes by name, as `/db/limits` shows them.
    package var limitValues: [(name: String, value: UInt64)] {
        [
            ("database", limits.database), ("growth", limits.growth), ("steps", limits.steps),
            ("temporary", limits.temporary),
        ]
    }
}

/// How often this node, as leader, removed a silent member, and could not.
package struct Reapings: Equatable, Sendable {
    package var succeeded = 0
    package var failed = 0
}
