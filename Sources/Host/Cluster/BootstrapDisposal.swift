package import Raft

/// Decides whether a bootstrap that never had a leader may be dropped for a cluster that works. It
/// happens only where the agreement could not protect: a candidate list replaced wholesale, or an
/// address taken over, before the first leader.
package enum BootstrapDisposal: Equatable, Sendable {
    case keep
    /// Record the cluster as abandoned (`AcceptorState.abandon`), durably; then erase the bootstrap;
    /// then join the other.
    case abandon(ClusterID)

    /// This node's own disk.
    package struct LocalLog: Equatable, Sendable {
        package var cluster: ClusterID
        package var term: Term
        package var hasVoted: Bool
        package var lastIndex: LogIndex
        /// The entry made from the bootstrap value.
        package var bootstrapIndex: LogIndex

        package init(
            cluster: ClusterID, term: Term, hasVoted: Bool, lastIndex: LogIndex,
            bootstrapIndex: LogIndex
        ) {
            self.cluster = cluster
            self.term = term
            self.hasVoted = hasVoted
            self.lastIndex = lastIndex
            self.bootstrapIndex = bootstrapIndex
        }
    }

    /// - Parameters:
    ///   - met: the cluster of a node that answered.
    ///   - isWorking: it has a leader that a quorum of its voters confirmed.
    /// - Returns: `abandon` only if nothing this node ever said can have helped to elect a leader
    ///   or to commit an entry of its own cluster.
    package static func decide(
        _ log: LocalLog, met: ClusterID, isWorking: Bool
    ) -> BootstrapDisposal {
        guard isWorking, met != log.cluster, log.term == .zero, !log.hasVoted,
            log.lastIndex <= log.bootstrapIndex
        else { return .keep }
        return .abandon(log.cluster)
    }
}
