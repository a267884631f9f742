import PeerProtocol
import Raft
import Replication
import Telemetry
import Time
import Transport

/// Whether this node was removed from its cluster and knows it.
package enum Exclusion: Equatable, Sendable {
    case none
    /// It goes on listening: the cluster may take it in again.
    case removed
    /// It takes no part any more in this run (`-raft-remove-shutdown`).
    case stopped
}

/// What becomes of a node that was removed while it runs. The removal's entry need not reach it, so
/// a member that lost its leader asks the others whether it still belongs to them (`JoinRequest`,
/// intent *resume*). Told that it doesn't, it neither campaigns nor asks to be taken in again: an
/// operator removed it, or it was reaped. It goes on serving what it has at level `none`, and says
/// what happened. A restart with `-join` or a discovery mode is a wish to join, and is granted.
extension Core {
    /// What a leader answers a node that thinks itself a member; nil: it is one.
    func answer(toReturning request: JoinRequest) -> PeerAnswer? {
        guard let raft = replicated?.raft, request.cluster == cluster else { return nil }
        let id = request.identity.id
        let member = raft.membership[id]
        guard member?.incarnation != request.identity.incarnation else { return nil }
        // What is not committed yet may still be undone.
        guard raft.isReadyLeader, raft.membershipIndex <= raft.commitIndex else {
            return refusal(.busy, "a change of membership is under way")
        }
        if let member {
            return refusal(
                .removed,
                "node ID \(id) belongs to another data directory now, at \(member.address)")
        }
        return refusal(.removed, "node \(id) was removed from the cluster")
    }

    /// The leader, or this node's own log, says that it is no member any more.
    /// - Parameter cause: for the operator.
    func wasRemoved(_ cause: String) {
        guard exclusion == .none else { return }
        exclusion = options.stopsWhenRemoved ? .stopped : .removed
        formation = nil
        replicated?.retire()
        performEffects()
        links.logger.warning(
            "this node was removed from the cluster", ["cause": cause, "then": exclusionRemedy])
        if exclusion == .stopped {
            links.logger.announce("Raft stopped because this node was removed from the cluster")
        }
    }

    /// A leader speaks to this node, so it belongs to the cluster again.
    func heardLeader() {
        guard exclusion == .removed else { return }
        exclusion = .none
        links.logger.announce("this node is a member of the cluster again")
    }

    /// A message may have waited in another node's queue since before this one was removed; who is
    /// led for two election timeouts has heard newer ones.
    func reviewRecognition() {
        guard !isRecognized, let ledSince else { return }
        isRecognized = now - ledSince > options.tick * (2 * options.raft.electionTicks)
    }

    var exclusionRemedy: String {
        options.plan == .alone
            ? "restart it with -join to let it join again" : "restart it to let it join again"
    }
}
