/// A follower's side of replication (thesis §3.5).
extension RaftMachine {
    /// What no leader of the term sends. One leads in a term, holds all that is committed (leader
    /// completeness), and sends nothing to itself.
    func breach(
        of append: Message.AppendEntries, in term: Term, from sender: NodeID
    ) -> DropReason? {
        if term == self.term, let leader, leader != sender { return .secondLeader }
        let previous = append.previous
        if previous.index <= commitIndex {
            if let own = log.term(at: previous.index), own != previous.term {
                return .contradictsCommitted
            }
        } else if let committed = log.term(at: commitIndex), committed > previous.term {
            // Terms don't go back along a log.
            return .contradictsCommitted
        }
        let committed = log.term(at: commitIndex) ?? log.base.term
        if previous.index <= commitIndex, previous.term > committed { return .contradictsCommitted }
        let known = append.entries.prefix { $0.index <= commitIndex }
        let isContradicted = known.contains { entry in
            // Of what is compacted only the last term is known, and terms don't go back.
            log.term(at: entry.index).map { $0 != entry.term } ?? (entry.term > committed)
        }
        return isContradicted ? .contradictsCommitted : nil
    }

    mutating func receive(_ append: Message.AppendEntries, from sender: NodeID) {
        heard(sender, committed: append.commitIndex)
        var append = append
        // Entries that wait only for this node's own disk and state machine are bounded; what waits
        // for a quorum is bounded by the leader, and refusing it could stop the cluster for ever.
        let isApplying = appliedIndex < commitIndex && !isApplyHalted
        let isDraining = isApplying || writes.durableIndex < log.lastIndex
        if isDraining && log.unsettledBytes > settings.maxUncommittedBytes { append.entries = [] }
        // What both hold for committed matches. No more than the message covers, even if more is
        // committed here: a leader whose log ends before that has gone back in time, and must come
        // to the first entry that this node can deny.
        let last = max(
            append.previous.index.advanced(by: append.entries.count),
            min(append.commitIndex, commitIndex))
        skipCommitted(&append)

        guard log.term(at: append.previous.index) == append.previous.term else {
            refuse(append, from: sender)
            return
        }
        take(append.entries)
        advanceCommit(to: breaks(.appliesUncommitted) ? last : min(append.commitIndex, last))

        // A heartbeat is answered at once, with what is durable; entries once they are.
        let isHeartbeat = append.entries.isEmpty
        let through = isHeartbeat ? min(last, writes.durableIndex) : last
        send(
            .appendAnswer(.init(result: .matched(through: through), round: append.round)),
            to: sender, held: through)
    }

    private mutating func heard(_ sender: NodeID, committed index: LogIndex) {
        if leader != sender { becomeFollower(term: term, leader: sender, because: nil) }
        if heardCommit.term != term { heardCommit = LogPosition(index: .zero, term: term) }
        heardCommit.index = max(heardCommit.index, index)
        leaderSilence = 0
        electionElapsed = 0
        isRetired = false
    }

    /// Everything through commitIndex matches already, for every leader holds it (leader
    /// completeness), and part of it may be compacted away.
    private func skipCommitted(_ append: inout Message.AppendEntries) {
        guard append.previous.index < commitIndex else { return }
        let known = append.entries.prefix { $0.index <= commitIndex }.count
        append.entries.removeFirst(known)
        append.previous = LogPosition(
            index: commitIndex, term: log.term(at: commitIndex) ?? log.base.term)
    }

    private mutating func take(_ entries: [Entry]) {
        let keepsAll = breaks(.dropsConflictCheck)
        let new = entries.firstIndex {
            keepsAll ? $0.index > log.lastIndex : log.term(at: $0.index) != $0.term
        }
        guard let new else { return }
        if entries[new].index <= log.lastIndex { discardEntries(from: entries[new].index) }
        self.append(Array(entries[new...]))
    }

    /// Names the last position that may still match, so that the leader skips whole terms: terms
    /// never decrease along a log, so no entry of a later term than `previous` can match there.
    private mutating func refuse(_ append: Message.AppendEntries, from sender: NodeID) {
        let previous = append.previous
        // What is committed at least, or it was refused as a contradiction.
        let hint = log.lastPosition(notAfter: previous.index, term: previous.term) ?? log.base
        send(
            .appendAnswer(
                .init(
                    result: .mismatched(previous: previous.index, hint: hint),
                    round: append.round)),
            to: sender)
    }
}
