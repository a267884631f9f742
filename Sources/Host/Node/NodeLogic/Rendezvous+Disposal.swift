import Cluster
import PeerProtocol
import Raft
import Registry
import Time
import WriteAheadLog

/// Drops a bootstrap that never had a leader when another cluster works (`BootstrapDisposal`).
extension Rendezvous {
    /// - Parameter hello: of a node that was asked while this one looks for the other members.
    /// - Returns: whether this node is about to leave its cluster.
    mutating func reviewBootstrap(_ hello: Hello) -> Bool {
        guard situation.takesPart, let cluster = situation.cluster, options.plan != .alone,
            !situation.isStopping
        else { return false }
        let log = BootstrapDisposal.LocalLog(
            cluster: cluster, term: situation.term, hasVoted: situation.hasVoted,
            isEmpty: situation.isLogEmpty)
        let time = now - MonotonicTime(nanoseconds: 0)
        switch disposal.heard(CandidateFacts(hello), log: log, now: time) {
        case .keep: return false
        case .ask(let address):
            call(.hello, .hello, at: address, Self.helloTime)
            return false
        // A registry's word stands above what is met elsewhere: by it the node would be a founder again at once.
        case .abandon(let cluster) where registry?.namedCluster == cluster: return false
        case .abandon(let cluster):
            abandonBootstrap(of: cluster, for: hello)
            return true
        }
    }

    /// From here on this node says nothing more as a member of its cluster, and when that is durable
    /// it begins anew.
    private mutating func abandonBootstrap(of abandoned: ClusterID, for hello: Hello) {
        say(
            .warning, "this node leaves a cluster that never had a leader for one that works",
            [
                "cluster.id": "\(abandoned)",
                "other.cluster.id": hello.cluster.map { "\($0)" } ?? "unknown",
                "address": "\(hello.address)",
            ])
        decisions.append(.leaveBootstrap)
        search = nil
        lostSince = nil
        disposal = BootstrapDisposal()
        situation = Situation()
        acceptor.abandon(abandoned)
        var records = [MetadataRecord.formation(acceptor.encoded())]
        if var state = registry?.state {
            state.abandon(abandoned)
            registry?.state = state
            records.append(.registry(state.encoded()))
        }
        decisions.append(.record(records + [.abandoned(abandoned)], .disposal))
    }
}
