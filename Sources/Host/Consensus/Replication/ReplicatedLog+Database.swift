package import Raft

/// What halts the applying while the log goes on: an entry that must not be applied, and a database
/// that is not to be trusted and is replaced by another node's.
extension ReplicatedLog {
    // MARK: An entry that must not be applied

    /// The batch handed out last was applied through `index` only: what follows must not be, until
    /// somebody decides. This node goes on voting, writing its log and committing.
    package mutating func applyHalted(after index: LogIndex) {
        guard let batch = applying else { preconditionFailure("halted, but nothing is applied") }
        precondition(
            index >= appliedIndex && index < batch.through,
            "halted after \(index) within \(appliedIndex)...\(batch.through)")
        haltApplying(true)
        advance(to: index)
        drain()
    }

    /// What halted the applying is decided: the rest is handed out again, unless the database is not
    /// to be trusted either.
    package mutating func resumeApplying() {
        haltApplying(wantsSeed)
        drain()
    }

    /// While nothing is applied nothing is held for it: memory would be used up, or the log stand
    /// still, and with it whatever decides about the halt.
    mutating func haltApplying(_ isOn: Bool) {
        isApplyHalted = isOn
        if isOn { toApply = [] }
        raft.applyHalted(isOn)
    }

    // MARK: A batch for which there is no room

    /// A snapshot waits for the batch that is out, and may be what gives the room that it waits for.
    mutating func hurryBatch() {
        if applying != nil { effects.append(.giveUpBatch) }
    }

    /// The batch handed out last was applied through `index` only, and is not tried again: a snapshot takes the
    /// place of what it would bring. Should that prove unusable, the rest is read from the log again.
    package mutating func applyGivenUp(after index: LogIndex) {
        guard let batch = applying else { preconditionFailure("given up, but nothing is applied") }
        precondition(
            index >= appliedIndex && index <= batch.through,
            "given up after \(index) within \(appliedIndex)...\(batch.through)")
        toApply = []
        advance(to: index)
        drain()
    }

    // MARK: A snapshot that takes the place of log and database

    /// What arrives while a snapshot is put in place would be appended to the log that is just being replaced. Raft
    /// tolerates the loss. But as long as it waits, for a batch that may take an hour, the leader is answered and votes
    /// are given: the others may need this node's voice, and none of that adds to the log.
    func mayHear(_ message: Message) -> Bool {
        switch snapshot {
        case .none, .waitingToSeed, .seeding: return true
        case .installing: return false
        case .waiting: break
        }
        switch message.body {
        case .appendEntries(let append): return append.entries.isEmpty
        case .voteRequest: return true
        case .voteAnswer, .appendAnswer, .timeoutNow, .termIsBehind: return false
        }
    }

    // MARK: A log for which there is no room

    /// A snapshot that is whole waits for what is being written, and that for room now. Nobody would be heard until
    /// there is some, and the snapshot may be what fills the disk.
    mutating func dropWaitingSnapshot() {
        guard case .waiting(_, let token) = snapshot else { return }
        snapshot = .none
        effects.append(.discardSnapshot(token))
    }

    // MARK: A database that is not to be trusted

    /// The database is not to be trusted: nothing more is handed out once the batch that is out has
    /// been applied, and a snapshot that the log holds is taken, too, if the database lacks none of
    /// what it covers. The log is as good as before.
    package mutating func distrustDatabase() {
        haltApplying(true)
        wantsSeed = true
        raft.shunLeading(true)
    }

    mutating func trustDatabase() {
        guard wantsSeed else { return }
        wantsSeed = false
        raft.shunLeading(false)
    }

    /// The database is that of the snapshot from now on, and the log is as it was: what follows in it
    /// is handed out again.
    package mutating func seeded(_ mark: SnapshotMark) {
        guard case .seeding = snapshot else { preconditionFailure("nothing is being seeded") }
        let index = mark.position.index
        snapshot = .none
        haltApplying(false)
        trustDatabase()
        // What they came to is in the snapshot, and nobody here knows it.
        discardProposals { $0.index <= index }
        checkpointedIndex = max(checkpointedIndex, index)
        advance(to: index)
        drain()
    }

    /// A received snapshot takes the place of the database alone; the log goes on.
    package var isSeeding: Bool {
        switch snapshot {
        case .waitingToSeed, .seeding: true
        case .none, .waiting, .installing: false
        }
    }
}
