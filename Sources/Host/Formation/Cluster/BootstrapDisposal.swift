package import Raft

/// Decides, on a member of a bootstrap that never had a leader, whether that is dropped for a cluster
/// that works. It happens only where the agreement could not protect: a candidate list replaced
/// wholesale, or an address taken over, before the first leader.
///
/// A value beside the formation that looks for the other members: its shell hands it every answer to
/// a hello. On `abandon` the shell
///
/// 1. writes, in one batch, the acceptor's state after `AcceptorState.abandon` and
///    `MetadataRecord.abandoned`, which also takes the bootstrap out of the log;
/// 2. when that is durable, ends the consensus core and begins as a node without a cluster, by its
///    plan. A node whose plan founds a cluster by itself has nothing to join, and keeps what it has.
package struct BootstrapDisposal: Equatable, Sendable {
    /// What to do with this node's own cluster, after one other node said who it is.
    package enum Decision: Equatable, Sendable {
        case keep
        /// Say hello there: the node that answered says that this one leads.
        case ask(PeerAddress)
        /// Drop this node's own cluster.
        case abandon(ClusterID)
    }

    /// This node's own disk.
    package struct LocalLog: Equatable, Sendable {
        /// The cluster that it founded.
        package var cluster: ClusterID
        /// The newest term that its log has seen.
        package var term: Term
        /// It gave its vote away in `term`, if only to itself.
        package var hasVoted: Bool
        /// It holds no entry, and never did.
        package var isEmpty: Bool

        package init(cluster: ClusterID, term: Term, hasVoted: Bool, isEmpty: Bool) {
            self.cluster = cluster
            self.term = term
            self.hasVoted = hasVoted
            self.isEmpty = isEmpty
        }

        /// Nothing this node ever said can have helped to elect a leader of its cluster or to commit
        /// an entry there.
        var isUntouched: Bool { term == .zero && !hasVoted && isEmpty }
    }

    /// From the first to the last hello of a leader. It heard a quorum within an election timeout
    /// of each, or it would have stepped down: its cluster works, and not by chance at one moment.
    package static let patience: Duration = .seconds(5)

    /// A leader of another cluster, and since when it is seen to lead.
    private var seen: Sighting?
    /// When a leader of a third cluster was heard last: of two that work neither is joined.
    private var rivalHeardAt: Duration?

    private struct Sighting: Equatable, Sendable {
        let cluster: ClusterID
        let leader: NodeIdentity
        let since: Duration
        var heardAt: Duration
    }

    package init() {}

    /// An answer to a hello of this node.
    /// - Parameter now: since any fixed moment, never going back.
    package mutating func heard(
        _ facts: CandidateFacts, log: LocalLog, now: Duration
    ) -> Decision {
        let speaker = facts.introduction
        guard let met = facts.cluster, met != log.cluster, log.isUntouched else {
            // A member of the own cluster that knows a leader: it is needed after all.
            if facts.cluster == log.cluster, facts.leader != nil { seen = nil }
            return .keep
        }
        guard let leader = facts.leader else {
            if seen?.leader == speaker.identity { seen = nil }
            return .keep
        }
        // Only the leader itself knows that it leads.
        guard leader == speaker.address else { return .ask(leader) }
        guard var seen, seen.heardAt + Self.patience * 2 > now else {
            self.seen = Sighting(cluster: met, leader: speaker.identity, since: now, heardAt: now)
            return .keep
        }
        guard seen.cluster == met else {
            rivalHeardAt = now
            return .keep
        }
        guard seen.leader == speaker.identity else {
            self.seen = Sighting(cluster: met, leader: speaker.identity, since: now, heardAt: now)
            return .keep
        }
        seen.heardAt = now
        self.seen = seen
        let hasRival = rivalHeardAt.map { $0 + Self.patience * 2 > now } ?? false
        return !hasRival && now >= seen.since + Self.patience ? .abandon(log.cluster) : .keep
    }
}
