import PeerProtocol
import Raft
import Replication
import Service
import Telemetry
import Transport

/// The membership's changes, one after the other, as the leader carries them out.
extension Core {
    func tickMembership() {
        guard !membershipQueue.isEmpty else { return }
        let isLeader = replicated?.raft.role == .leader
        for operation in membershipQueue.expired(now: now, all: !isLeader) {
            giveUp(operation, isLeader: isLeader)
        }
        while let operation = membershipQueue.next, advance(operation) {}
    }

    private func giveUp(_ operation: MembershipQueue.Operation, isLeader: Bool) {
        switch operation {
        case .add(_, let reply):
            reply(refusal(.busy, "the change of membership was not committed in time"))
        case .remove(let id, let pending):
            // A leader that removed itself leads no more, and nobody tells it who does.
            if isGone(id) {
                replies.add(.done, to: pending.target)
            } else {
                parked.append(pending)
            }
        case .reap(let id):
            // Another leader's clock starts anew; it is no failure of this one.
            guard isLeader else { return }
            failReaping(id, "the change of membership was not committed in time")
        }
    }

    /// The committed membership does not name the node.
    private func isGone(_ id: NodeID) -> Bool {
        guard let raft = replicated?.raft, raft.membershipIndex <= raft.commitIndex else {
            return false
        }
        return !raft.membership.contains(id)
    }

    /// Proposes the next change of the operation, or finishes it.
    /// - Returns: whether the operation is finished and the next may begin.
    private func advance(_ operation: MembershipQueue.Operation) -> Bool {
        guard let raft = replicated?.raft else { return false }
        // What a change still on its way will leave behind is not known yet.
        guard raft.membershipIndex <= raft.commitIndex else { return false }
        switch operation {
        case .add(let request, let reply):
            guard let change = Self.change(toAdd: request, to: raft.membership) else {
                membershipQueue.finishFirst()
                joined(request, raft.membership, reply)
                return true
            }
            return propose(change)
        case .remove(let id, let pending): return remove(id, raft, pending)
        case .reap(let id): return reap(id, raft)
        }
    }

    private func remove(_ id: NodeID, _ raft: Raft, _ pending: PendingRequest) -> Bool {
        guard raft.membership.contains(id) else {
            membershipQueue.finishFirst()
            replies.add(.done, to: pending.target)
            return true
        }
        if let refusal = removalRefusal(id, raft) {
            membershipQueue.finishFirst()
            replies.add(.failed(.membership(refusal)), to: pending.target)
            return true
        }
        return propose(.remove(id))
    }

    private func reap(_ id: NodeID, _ raft: Raft) -> Bool {
        guard raft.membership.contains(id) else {
            membershipQueue.finishFirst()
            if let wasVoting = reaping.removeValue(forKey: id) {
                reaped(id, wasVoting: wasVoting)
            }
            return true
        }
        guard isStillDue(id) else {
            membershipQueue.finishFirst()
            reaping[id] = nil
            return true
        }
        reaping[id] = raft.membership[id]?.suffrage != .nonvoter
        if let refusal = removalRefusal(id, raft) {
            membershipQueue.finishFirst()
            failReaping(id, Self.cause(refusal))
            return true
        }
        return propose(.remove(id))
    }

    private static func cause(_ refusal: Refusal) -> String {
        guard case .wouldLoseQuorum(let silent) = refusal else { return "\(refusal)" }
        let names = silent.map(\.rawValue).joined(separator: ", ")
        return "the others would have no quorum, for these do not answer either: \(names)"
    }

    private func failReaping(_ id: NodeID, _ cause: String) {
        let wasVoting = reaping.removeValue(forKey: id) ?? true
        reapingFailed(id, wasVoting: wasVoting, cause)
    }

    /// What speaks against the removal, whoever asks for it.
    private func removalRefusal(_ id: NodeID, _ raft: Raft) -> Refusal? {
        if raft.membership.isVoter(id), raft.membership.voters.count == 1 { return .lastVoter }
        let reachability = Reachability(
            leader: options.identity.id, raft.progress, quorumTicks: options.raft.quorumTicks)
        return reachability.quorumLost(without: id, in: raft.membership).map {
            .wouldLoseQuorum(silent: $0)
        }
    }

    /// What must change next for the node to be a member as it asks; nil when it is one.
    ///
    /// A member stays what it is: joining again with or without `-raft-non-voter` changes nothing,
    /// as in rqlite, for a vote that goes by a restart is a surprise. Remove the node first.
    static func change(toAdd request: JoinRequest, to membership: Membership) -> MembershipChange? {
        let id = request.identity.id
        guard let member = membership[id] else {
            let suffrage: Suffrage = request.suffrage == .voter ? .learner : request.suffrage
            return .add(
                Member(
                    id: id, incarnation: request.identity.incarnation, address: request.address,
                    suffrage: suffrage))
        }
        // A wiped disk is another acceptor: it comes back as a learner.
        if member.incarnation != request.identity.incarnation { return .remove(id) }
        if member.address != request.address { return .move(id, to: request.address) }
        return nil
    }

    private func propose(_ change: MembershipChange) -> Bool {
        let id = ProposalID(newID())
        openProposals[id] = .membership
        membershipQueue.proposed()
        replicated?.propose(change, id: id)
        return false
    }

    private func joined(
        _ request: JoinRequest, _ membership: Membership,
        _ reply: @Sendable (PeerAnswer) -> Void
    ) {
        guard let cluster else { return }
        let suffrage = membership[request.identity.id]?.suffrage ?? .nonvoter
        if (suffrage == .nonvoter) != (request.suffrage == .nonvoter) {
            links.logger.warning(
                "node stays what it is: to change whether it votes, remove it and let it join",
                ["node.id": "\(request.identity.id)", "suffrage": "\(suffrage)"])
        }
        links.logger.info(
            "node joined",
            [
                "node.id": "\(request.identity.id)", "address": "\(request.address)",
                "suffrage": "\(suffrage)",
            ])
        reply(
            .joined(
                JoinAcceptance(cluster: cluster, membership: membership, leader: leaderHint)))
    }
}
