package import PeerProtocol
package import Raft
package import Wire

/// What a machine tells of itself at the end of a turn, for `/status`, metrics and answers to other
/// nodes. A copy: reading it never disturbs the machine.
package struct NodeStatus: Sendable {
    /// Nil until the node belongs to one.
    package var cluster: ClusterID?
    /// In the current term; a node without a cluster is shown as a follower.
    package var role: RoleName = .follower
    /// The newest that the node has seen; its upper half counts recoveries (`Term`).
    package var term: Term = .zero
    /// Nil while none is known.
    package var leader: LeaderHint?
    /// Every entry through here is on the disks of a quorum.
    package var commitIndex: LogIndex = .zero
    /// Every entry through here is in this node's database; never above `commitIndex`.
    package var appliedIndex: LogIndex = .zero
    /// Every entry through here is on this node's disk.
    package var durableIndex: LogIndex = .zero
    /// Of the newest entry of the log, durable or not.
    package var lastPosition: LogPosition = .zero
    /// The database file alone, without SQLite's WAL, holds everything through here.
    package var checkpointedIndex: LogIndex = .zero
    /// Of the entry at `appliedIndex` when the portrait was made.
    package var appliedTerm: Term = .zero
    /// The same at `checkpointedIndex`.
    package var checkpointedTerm: Term = .zero
    /// The newest in the log, which counts from the moment it is there (thesis §4.1).
    package var membership = Membership()
    /// The entry that holds `membership`.
    package var membershipIndex: LogIndex = .zero
    /// What a leader knows of each member; empty elsewhere.
    package var progress: [PeerProgress] = []
    /// Since the leader was last heard; nil when never.
    package var sinceLeader: Duration?
    /// This node may serve what its role allows.
    package var isReady = false
    /// The database is being replaced; nothing is applied meanwhile.
    package var isInstallingSnapshot = false
    /// Log or database lacks room; the node goes on by itself when there is some.
    package var isDiskFull = false
    /// What a node without a leader waits for, for the operator.
    package var waitingFor = "the log to be read"
    /// It looks for other nodes: it has no cluster yet, or lost the other members.
    package var isSeeking = false
    /// Writes of clients that are proposed and not answered.
    package var openProposals = 0
    /// Requests that wait for a leader or for the database.
    package var parkedRequests = 0
    /// Changes that wait for the one before them to be committed.
    package var pendingMembershipChanges = 0
    /// Members whose SQLite is another build: floats and plans may differ.
    package var otherEngines: [NodeID] = []
    /// Nil without one.
    package var registry: RegistryStatus?
    /// Silent members that this leader will remove, with the time that each has left.
    package var reapingDue: [(id: NodeID, remaining: Duration)] = []
    /// Whether the node was removed from its cluster and knows it.
    package var exclusion: Exclusion = .none
    /// Why the node applies nothing more; nil while it applies.
    package var halt: ApplyHalt?
    /// The same in words.
    package var haltNote: HaltNote?
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
    /// Since the start of the process.
    package var reapings = Reapings()
    /// Since the start of the process.
    package var joins = Joins()
    /// Since the start of the process.
    package var confirmedReads = ConfirmedReads()
    /// How often a follower of this node, as leader, fell silent; since the start of the process.
    package var silences = 0
    /// How often this node told who it is without asking over the network; since the start of the process.
    package var ownDescriptions = 0

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
    /// Members removed.
    package var succeeded = 0
    /// Attempts that failed.
    package var failed = 0
}
