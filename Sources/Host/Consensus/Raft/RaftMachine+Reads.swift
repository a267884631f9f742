/// Linearizable reads without a log entry (ReadIndex, thesis §6.4).
extension RaftMachine {
    /// Asks for an index at which a read is linearizable. The answer comes in `reads` or
    /// `failedReads`.
    package mutating func requestRead(_ id: ReadID) throws(Refusal) {
        guard let count = readCount else { throw .notLeader(leader: leader) }
        guard count < settings.maxWaitingReads else { throw .busy }
        lead { $0.reads.add(id) }
    }

    /// Reads that wait; nil where this node doesn't lead.
    private var readCount: Int? {
        if case .leader(let leader) = roleState { leader.reads.count } else { nil }
    }

    /// Begins a round for the reads that wait. Before an entry of its own term is committed the
    /// leader's commitIndex may lag behind what an earlier one answered, so they wait for that.
    mutating func startReadRound(_ leader: inout Leader) {
        guard commitIndex >= leader.termStart else { return }
        let reads = leader.reads
        let mayBegin = !reads.waiting.isEmpty && (reads.running.isEmpty || leader.heartbeatDue)
        guard mayBegin else { return }
        leader.reads.startRound(at: commitIndex, isNew: !breaks(.reusesReadRounds))
    }

    /// Confirms the rounds that a quorum of voters, the leader included, answered.
    mutating func confirmReads() {
        guard case .leader(var leader) = roleState, !leader.reads.running.isEmpty else { return }
        let voters = membership.voters
        guard !voters.isEmpty else { return }
        let answered = voters.map { voter in
            voter.id == identity.id ? leader.reads.round : leader[voter.id]?.answeredRound ?? 0
        }.sorted(by: >)
        pending.reads += leader.reads.confirm(through: answered[membership.quorum - 1])
        roleState = .leader(leader)
    }
}
