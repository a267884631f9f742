/// Commitment (thesis §3.6.2).
extension RaftMachine {
    /// Commits what a quorum of voters holds durably. Only entries of the leader's own term are
    /// committed by counting; earlier ones become so with them (thesis figure 3.7).
    mutating func commitByCounting() {
        guard log.lastIndex > commitIndex, case .leader(let leader) = roleState else { return }
        let voters = membership.voters
        guard !voters.isEmpty else { return }
        let counted = breaks(.countsNonvoters) ? membership.members : voters
        let matched = counted.map { voter in
            voter.id == identity.id
                ? writes.durableIndex : leader[voter.id]?.countedIndex ?? .zero
        }.sorted(by: >)
        let index = matched[membership.quorum - 1]
        guard index > commitIndex, log.term(at: index) == term || breaks(.commitsOldTerms)
        else { return }
        advanceCommit(to: index)
        stepDownIfRemoved()
    }

    mutating func advanceCommit(to index: LogIndex) {
        guard index > commitIndex else { return }
        precondition(
            index <= log.lastIndex, "commit \(index) beyond the last entry \(log.lastIndex)")
        let entries = log.entries(after: commitIndex, through: index).map(withoutOldMembership)
        commitIndex = index
        pending.committed += entries
        for entry in entries {
            if case .membership(let membership) = entry.payload {
                pending.observations.append(.membershipCommitted(membership, index: entry.index))
            }
        }
        memberships.committed(through: index)
        if isApplyHalted { settleLog() }
    }

    /// A recovery by hand took the place of all memberships in the log of the epochs before it:
    /// their entries keep their place and say nothing.
    package func withoutOldMembership(_ entry: Entry) -> Entry {
        guard case .membership = entry.payload, entry.term.epoch < term.epoch else { return entry }
        return Entry(index: entry.index, term: entry.term, payload: .noop)
    }
}
