/// Time in the core is counted in ticks; the shell decides how long one is.
package struct RaftSettings: Sendable {
    /// A follower that heard no leader for a random time in [T, 1.5 T] campaigns; T in ticks.
    package var electionTicks: Int = 50
    /// A candidate that neither won nor heard of a leader campaigns again after so long, with the
    /// same random part. Nil: after `electionTicks`.
    package var campaignTicks: Int?
    /// Between a leader's signs of life.
    package var heartbeatTicks: Int = 5
    /// A leader that heard no quorum for so long steps down.
    package var quorumTicks: Int = 50
    /// A log that could not be written for so long is stalled: see `Raft.storageStalled`. A
    /// follower that lacks entries and acknowledged none for half as long is taken for stalled.
    package var stallTicks: Int = 100
    /// Largest payload of one entry.
    package var maxEntryBytes: Int = 64 << 20
    /// Bytes of entries in one message; a single larger entry goes alone.
    package var maxMessageBytes: Int = 1 << 20
    /// Entries in one append.
    package var maxMessageEntries: Int = 4096
    /// Messages with entries in flight to one follower, and their bytes.
    package var maxInflightMessages: Int = 64
    /// Bytes of entries under way to one follower.
    package var maxInflightBytes: Int = 16 << 20
    /// Bytes of entries that are not yet committed, applied and durable here, past which a leader
    /// refuses proposals as busy and a follower takes no more entries until its own disk and state
    /// machine catch up. A state machine that is halted keeps nobody waiting: see
    /// `RaftMachine.applyHalted(_:)`.
    package var maxUncommittedBytes: Int = 256 << 20
    /// Linearizable reads that wait for confirmation, past which more are refused as busy.
    package var maxWaitingReads: Int = 65_536
    /// Entries kept in memory for followers after they are applied.
    package var maxCachedBytes: Int = 32 << 20
    /// A learner is caught up when it lacks no more entries than this, or none that is older than half an election
    /// timeout.
    package var caughtUpEntries: Int = 256
    /// Which rules are kept: all, unless a simulation breaks one.
    package var rules = RuleBook()

    package init() {}

    /// Relations that elections and flow control rely on.
    func check() {
        precondition(heartbeatTicks > 0, "heartbeatTicks must be positive")
        precondition(campaignTicks.map { $0 > 0 } ?? true, "campaignTicks must be positive")
        precondition(
            electionTicks > heartbeatTicks && quorumTicks > heartbeatTicks,
            "election (\(electionTicks)) and quorum (\(quorumTicks)) ticks must exceed heartbeat "
                + "ticks (\(heartbeatTicks))")
        precondition(stallTicks > 0, "stallTicks must be positive")
        precondition(
            maxEntryBytes <= Reach.entryBytes && maxEntryBytes <= Int.max / 2,
            "entries of \(maxEntryBytes) bytes would be refused by followers")
        precondition(
            maxMessageEntries > 0 && maxInflightMessages > 0 && maxInflightBytes > 0,
            "limits of messages must be positive")
    }
}

/// What a node finds on its disk when it starts.
package struct RestoredState: Sendable {
    /// As it was last made durable.
    package var hardState: HardState
    /// The entry before the first one in the log: where compaction ended or a snapshot stands.
    package var base: LogPosition
    /// Terms of all entries after `base`, as runs: the first index of each term.
    package var termRuns: [LogPosition]
    /// Of the last entry in the log.
    package var lastIndex: LogIndex
    /// Contiguous up to `lastIndex`: all that are not committed at least, and of those committed and
    /// not applied as many of the last ones as there is room for.
    package var tail: [Entry]
    /// What must be known of committed entries that are not applied and lie before `tail`: all
    /// memberships among them, and whatever else the driver looks for.
    package var passed: [Entry]
    /// The latest in the log or the database, whichever has the higher index.
    package var membership: Membership
    /// The entry that set the membership.
    package var membershipIndex: LogIndex
    /// The one that holds at `appliedIndex`: what a truncation falls back to. Used only when
    /// `membershipIndex` is after `appliedIndex`.
    package var appliedMembership: Membership
    /// The entry that set the applied membership.
    package var appliedMembershipIndex: LogIndex
    /// max(recovered commitIndex, the database's applied index).
    package var commitIndex: LogIndex
    /// What the database has applied.
    package var appliedIndex: LogIndex

    package init(
        hardState: HardState = HardState(), base: LogPosition = .zero,
        termRuns: [LogPosition] = [], lastIndex: LogIndex = .zero, tail: [Entry] = [],
        passed: [Entry] = [],
        membership: Membership = Membership(), membershipIndex: LogIndex = .zero,
        appliedMembership: Membership = Membership(), appliedMembershipIndex: LogIndex = .zero,
        commitIndex: LogIndex = .zero, appliedIndex: LogIndex = .zero
    ) {
        self.hardState = hardState
        self.base = base
        self.termRuns = termRuns
        self.lastIndex = lastIndex
        self.tail = tail
        self.passed = passed
        self.membership = membership
        self.membershipIndex = membershipIndex
        self.appliedMembership = appliedMembership
        self.appliedMembershipIndex = appliedMembershipIndex
        self.commitIndex = commitIndex
        self.appliedIndex = appliedIndex
    }

    /// The last entry that is known to be committed.
    package var committedPosition: LogPosition {
        let run = termRuns.last { $0.index <= commitIndex }
        return LogPosition(index: commitIndex, term: run?.term ?? base.term)
    }
}
