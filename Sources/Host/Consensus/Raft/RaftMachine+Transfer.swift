/// Leadership transfer (thesis §3.10): proposals stop, the target is brought up to date and asked
/// to campaign at once. The leader goes on if nothing came of it within an election timeout.
extension RaftMachine {
    /// Hands leadership to `target`, or to the most up-to-date voter that answers.
    package mutating func transferLeadership(to target: NodeID?) throws(Refusal) {
        guard case .leader(let leader) = roleState else { throw .notLeader(leader: self.leader) }
        guard leader.transfer == nil else { throw .transferInProgress }
        if let target {
            guard target != identity.id else { throw .transferToSelf }
            guard membership.contains(target) else { throw .unknownMember }
            guard membership.isVoter(target) else { throw .noTransferTarget }
        }
        guard let chosen = target ?? bestSuccessor else { throw .noTransferTarget }
        lead { $0.transfer = Transfer(target: chosen) }
        continueTransfer()
    }

    var transferTarget: NodeID? {
        if case .leader(let leader) = roleState { leader.transfer?.target } else { nil }
    }

    /// The voter that holds most, the first by ID among equals; one that does not acknowledge what
    /// it is sent only if there is no other.
    private var bestSuccessor: NodeID? {
        if let able = ableSuccessor(besides: []) { return able }
        guard case .leader(let leader) = roleState else { return nil }
        var best: Progress?
        for peer in leader.progress
        where membership.isVoter(peer.id) && peer.ticksSinceAnswer < settings.electionTicks {
            if peer.matchIndex > best?.matchIndex ?? .zero { best = peer }
        }
        return best?.id
    }

    mutating func tickTransfer() {
        guard case .leader(var leader) = roleState, var transfer = leader.transfer else { return }
        transfer.elapsed += 1
        if transfer.elapsed >= settings.electionTicks {
            leader.transfer = nil
            pending.observations.append(
                .transferFinished(to: transfer.target, succeeded: false))
        } else {
            // The request may have got lost: repeated with each heartbeat. A second one says
            // nothing to a target that is in the next term already.
            if leader.heartbeatDue { transfer.isTargetAsked = false }
            leader.transfer = transfer
        }
        roleState = .leader(leader)
        continueTransfer()
    }

    mutating func continueTransfer() {
        guard case .leader(let leader) = roleState, let transfer = leader.transfer,
            !transfer.isTargetAsked, leader[transfer.target]?.matchIndex == log.lastIndex
        else { return }
        send(.timeoutNow, to: transfer.target)
        lead { $0.transfer?.isTargetAsked = true }
    }

    /// A leader that the committed membership doesn't name steps down (thesis §4.2.2). It tells
    /// the others of the commit and asks the best of them to campaign, so that nobody waits for an
    /// election timeout.
    mutating func stepDownIfRemoved() {
        guard case .leader = roleState, !isVoter(in: membership),
            membershipIndex <= commitIndex || breaks(.actsOnRemovalsEarly)
        else {
            return
        }
        replicate()
        if let successor = bestSuccessor { send(.timeoutNow, to: successor) }
        becomeFollower(term: term, leader: nil, because: .removed)
    }
}
