import PeerProtocol
import Raft
import Service

/// What the node is right now, as far as the fate of requests depends on it. A copy, made once for
/// all requests of a turn.
struct Standing {
    var role = RoleName.follower
    /// By all this node knows; itself, if it leads.
    var leader: NodeID?
    /// Nil while it is not known, and when the node itself leads.
    var leaderAddress: PeerAddress?
    var leaderURL: String?
    /// Nil until the node belongs to a cluster.
    var isVoter: Bool?
    var commitIndex = LogIndex.zero
    /// The most that this node knows to be committed, in its log or not.
    var knownCommitIndex = LogIndex.zero
    /// An entry of the present term is known to be committed. Until then a new leader, and who follows
    /// it, may not know yet of all that its predecessors acknowledged (thesis §6.4).
    var knowsCommitOfTerm = false
    var appliedIndex = LogIndex.zero
    /// Of whose log the indexes are; nil until the node belongs to a cluster.
    var cluster: ClusterID?
    /// Of the log's last term.
    var epoch: UInt64 = 0
    /// Since the leader was last heard; nil when never.
    var sinceLeader: Duration?
    /// The node has a log at all.
    var isInCluster = false
    /// Reads at level `none` may see this database.
    var canServeLocally = true
    /// This node leads, by all it knows, and has applied what its predecessors acknowledged.
    var canServeAsLeader = false
    var isDiskFull = false
    /// Why this node applies nothing more, and so serves nothing; nil while it applies.
    var halt: String?
    /// The node was removed from its cluster: waiting for a leader is in vain.
    var isExcluded = false
    /// Why there is no leader, in words.
    var waitingFor = ""

    /// What must change before a request that waits can go on.
    struct Gate: Equatable {
        var leader: NodeID?
        var leaderAddress: PeerAddress?
        var canServeLocally: Bool
        var canServeAsLeader: Bool
        var isExcluded: Bool
        var appliedIndex: LogIndex
    }

    var gate: Gate {
        Gate(
            leader: leader, leaderAddress: leaderAddress, canServeLocally: canServeLocally,
            canServeAsLeader: canServeAsLeader, isExcluded: isExcluded,
            appliedIndex: appliedIndex)
    }

    /// A node that never heard a leader, or belongs to no cluster, is not fresh by any bound. A leader is,
    /// but strictly only when it holds what its predecessors acknowledged.
    func isFresh(_ freshness: Freshness) -> Bool {
        guard let limit = freshness.limit else { return true }
        guard role != .leader else { return !freshness.strict || canServeAsLeader }
        guard let sinceLeader, sinceLeader <= limit else { return false }
        return !freshness.strict || (knowsCommitOfTerm && appliedIndex >= knownCommitIndex)
    }
}
